"""Open times: when a session can start, from weekly hours in the therapist's zone."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice
from zoneinfo import ZoneInfo

from app.rules.policy import Policy
from app.rules.weekly_hours import Window

# [start, end), aware UTC.
Span = tuple[datetime, datetime]

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_WEEK_MINUTES = 7 * 24 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of all therapists together: nine of these weeks are what one of them can be asked for.
_WEEKS_KEPT = 256


class NotOpen(StrEnum):
    TOO_SOON = "too_soon"
    TOO_FAR = "too_far"
    OUTSIDE_AVAILABILITY = "outside_availability"
    OFF_GRID = "off_grid"
    TIME_OFF = "time_off"
    TAKEN = "taken"


def open_times(
    windows: Sequence[Window],
    zone: ZoneInfo,
    busy: Iterable[Span],
    *,
    length_minutes: int,
    from_at: datetime,
    until_at: datetime,
    now: datetime,
    policy: Policy,
    limit: int | None = None,
) -> list[datetime]:
    """Every start in [from_at, until_at) that can be booked at `now`, or the first `limit` of them.

    Ascending, aware UTC.
    """
    first_at = max(from_at, now + policy.min_notice)
    last_at = min(until_at, now + policy.max_ahead)
    listed = _listed(windows, zone, length_minutes, first_at, last_at, policy)
    blocked = _merged(each for each in busy if each[1] > first_at)
    return list(islice(_free(listed, blocked, timedelta(minutes=length_minutes), until_at), limit))


def is_listed(
    start_at: datetime,
    windows: Sequence[Window],
    zone: ZoneInfo,
    *,
    length_minutes: int,
    policy: Policy,
) -> bool:
    listed = _listed(windows, zone, length_minutes, start_at, start_at, policy)
    return any(start_at in starts for starts in listed)


def why_not_open(
    start_at: datetime,
    windows: Sequence[Window],
    zone: ZoneInfo,
    *,
    held: Iterable[Span],
    time_off: Iterable[Span],
    length_minutes: int,
    now: datetime,
    policy: Policy,
) -> NotOpen | None:
    span = (start_at, start_at + timedelta(minutes=length_minutes))
    if start_at - now < policy.min_notice:
        return NotOpen.TOO_SOON
    if start_at - now > policy.max_ahead:
        return NotOpen.TOO_FAR
    if not is_listed(start_at, windows, zone, length_minutes=length_minutes, policy=policy):
        is_inside = any(
            opens_at <= span[0] and span[1] <= closes_at
            for each in _occurrences(windows, zone, start_at, start_at)
            for opens_at, closes_at in each.spans()
        )
        return NotOpen.OFF_GRID if is_inside else NotOpen.OUTSIDE_AVAILABILITY
    if any(overlaps(span, each) for each in time_off):
        return NotOpen.TIME_OFF
    if any(overlaps(span, each) for each in held):
        return NotOpen.TAKEN
    return None


def overlaps(one: Span, other: Span) -> bool:
    """Whether two spans share any time; spans that only touch do not."""
    return one[0] < other[1] and other[0] < one[1]


def cells(starts_at: datetime, ends_at: datetime, cell_minutes: int) -> list[datetime]:
    """The starts of the cells that a session touches; the grid of cells starts at the epoch."""
    cell = timedelta(minutes=cell_minutes)
    first = starts_at - (starts_at - _EPOCH) % cell
    return [first + index * cell for index in range(-((first - ends_at) // cell))]


def _free(
    listed: Iterable[Sequence[datetime]], blocked: list[Span], length: timedelta, until_at: datetime
) -> Iterator[datetime]:
    # Behind the last start.
    end_of_all = until_at + length
    following = chain(blocked, [(end_of_all, end_of_all)])
    taken_from, taken_until = next(following)
    for starts in listed:
        index, end = 0, bisect_left(starts, until_at)
        while index < end:
            while taken_until <= starts[index]:
                taken_from, taken_until = next(following)
            free_until = bisect_right(starts, taken_from - length, index, end)
            yield from starts[index:free_until]
            index = bisect_left(starts, taken_until, free_until, end)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that neither touch nor overlap, ascending."""
    merged: list[Span] = []
    for starts_at, ends_at in sorted(spans):
        if merged and starts_at <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends_at))
        else:
            merged.append((starts_at, ends_at))
    return merged


def _listed(
    windows: Sequence[Window],
    zone: ZoneInfo,
    length_minutes: int,
    first_at: datetime,
    last_at: datetime,
    policy: Policy,
) -> Iterator[Sequence[datetime]]:
    """Starts that the weekly hours list in [first_at, last_at], ascending, by weeks."""
    hours = tuple(windows)
    week = (first_at - _EPOCH) // _WEEK
    while _EPOCH + week * _WEEK <= last_at:
        starts = _listed_in_week(hours, zone, length_minutes, policy.slot_minutes, week)
        yield starts[bisect_left(starts, first_at) : bisect_right(starts, last_at)]
        week += 1


# The same for every visitor until the therapist changes the weekly hours.
@lru_cache(maxsize=_WEEKS_KEPT)
def _listed_in_week(
    windows: tuple[Window, ...], zone: ZoneInfo, length_minutes: int, slot_minutes: int, week: int
) -> tuple[datetime, ...]:
    """Of the seven days in UTC that begin so many weeks after the epoch."""
    since = _EPOCH + week * _WEEK
    until = since + _WEEK
    length, step = timedelta(minutes=length_minutes), timedelta(minutes=slot_minutes)
    starts = [
        start_at
        for each in _occurrences(windows, zone, since, until)
        for start_at in each.starts(length, step)
        if since <= start_at < until
    ]
    # In an hour that comes twice, hours that lie close together take turns.
    return tuple(sorted(starts))


@dataclass(frozen=True, slots=True)
class _Run:
    """Windows that touch, in minutes of the week; a whole week has no end."""

    start_minute: int
    end_minute: int


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A run in one week; its times are those of the therapist's clock, without a zone.

    Sessions begin before `ends`, and end by `closes`.
    """

    begins: datetime
    ends: datetime
    closes: datetime
    zone: ZoneInfo

    def spans(self) -> list[Span]:
        """All of the time at which the clock shows these hours, also what it shows twice."""
        return _merged((opens_at, closes_at) for opens_at, closes_at, _ in self._parts())

    def starts(self, length: timedelta, step: timedelta) -> Iterator[datetime]:
        parts = list(self._parts())
        spans = _merged((opens_at, closes_at) for opens_at, closes_at, _ in parts)
        for opens_at, part_closes_at, offset in parts:
            begins_at = (self.begins - offset).replace(tzinfo=UTC)
            before = min(part_closes_at, (self.ends - offset).replace(tzinfo=UTC))
            # Counted on the clock from the beginning of the run.
            start_at = begins_at + max(-((begins_at - opens_at) // step), 0) * step
            closes_at = next(ends_at for _, ends_at in spans if part_closes_at <= ends_at)
            while start_at < before and start_at + length <= closes_at:
                yield start_at
                start_at += step

    def _parts(self) -> Iterator[tuple[datetime, datetime, timedelta]]:
        """(start, end, offset from UTC) of each part between two changes of the clocks."""
        for since, until, offset in _offsets(self.begins, self.closes, self.zone):
            opens_at = max(since, (self.begins - offset).replace(tzinfo=UTC))
            closes_at = min(until, (self.closes - offset).replace(tzinfo=UTC))
            if opens_at < closes_at:
                yield opens_at, closes_at, offset


def _occurrences(
    windows: Sequence[Window], zone: ZoneInfo, first_at: datetime, last_at: datetime
) -> Iterator[_Occurrence]:
    """Those that may hold a start in [first_at, last_at], by their beginning."""
    runs = _runs(windows)
    first, last = (at.astimezone(zone).replace(tzinfo=None) for at in (first_at, last_at))
    monday = datetime.combine(first - timedelta(days=first.weekday()), time()) - _WEEK
    while monday <= last + _DAY:
        for run in runs:
            begins = monday + timedelta(minutes=run.start_minute)
            ends = monday + timedelta(minutes=run.end_minute)
            # The day leaves room for a change of the clocks.
            if begins <= last + _DAY and first - _DAY <= ends:
                is_whole_week = run.end_minute - run.start_minute >= _WEEK_MINUTES
                yield _Occurrence(begins, ends, ends + _DAY if is_whole_week else ends, zone)
        monday += _WEEK


def _runs(windows: Sequence[Window]) -> list[_Run]:
    runs: list[_Run] = []
    for window in sorted(windows):
        midnight = window.weekday * 24 * 60
        start, end = midnight + window.start_minute, midnight + window.end_minute
        if runs and start <= runs[-1].end_minute:
            runs[-1] = _Run(runs[-1].start_minute, max(end, runs[-1].end_minute))
        else:
            runs.append(_Run(start, end))
    # Sunday's midnight is Monday's.
    if len(runs) > 1 and runs[-1].end_minute == _WEEK_MINUTES and runs[0].start_minute == 0:
        monday = runs.pop(0)
        runs[-1] = _Run(runs[-1].start_minute, _WEEK_MINUTES + monday.end_minute)
    return runs


def _offsets(
    begins: datetime, ends: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """(since, until, offset from UTC) from a day before `begins` to a day after `ends`."""
    since = begins.replace(tzinfo=UTC) - _DAY
    last_at = ends.replace(tzinfo=UTC) + _DAY
    while since < last_at:
        offset, until = _offset(since, zone), last_at
        if _offset(last_at, zone) != offset:
            until = _change_after(since, last_at, zone)
        yield since, until, offset
        since = until


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _change_after(since: datetime, until: datetime, zone: ZoneInfo) -> datetime:
    """The first instant with another offset than `since`, to the second."""
    offset = _offset(since, zone)
    # By days first: two changes may lie in one span.
    while since + _DAY < until and _offset(since + _DAY, zone) == offset:
        since += _DAY
    until = min(until, since + _DAY)
    while until - since > timedelta(seconds=1):
        middle = since + (until - since) / 2
        if _offset(middle, zone) == offset:
            since = middle
        else:
            until = middle
    return until.replace(microsecond=0)

"""Open times: when a session can start, from weekly hours in the therapist's zone."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from app.rules.policy import Policy
from app.rules.weekly_hours import Window

# [start, end), aware UTC.
Span = tuple[datetime, datetime]

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
) -> list[datetime]:
    """Every start in [from_at, until_at) that can be booked at `now`, ascending, aware UTC."""
    return list(
        _open(windows, zone, busy, length_minutes, from_at, until_at, now=now, policy=policy)
    )


def next_open_times(
    windows: Sequence[Window],
    zone: ZoneInfo,
    busy: Iterable[Span],
    *,
    length_minutes: int,
    from_at: datetime,
    now: datetime,
    policy: Policy,
    limit: int,
) -> list[datetime]:
    """The first `limit` starts at or after `from_at` that can be booked at `now`."""
    until_at = now + policy.max_ahead + _DAY
    starts = _open(windows, zone, busy, length_minutes, from_at, until_at, now=now, policy=policy)
    return list(islice(starts, limit))


def is_listed(
    start_at: datetime,
    windows: Sequence[Window],
    zone: ZoneInfo,
    *,
    length_minutes: int,
    policy: Policy,
) -> bool:
    return start_at in _listed_on(
        start_at.astimezone(zone).date(), windows, zone, length_minutes, policy
    )


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
        day = start_at.astimezone(zone).date()
        hours = (_hours(day, window, zone) for window in windows if _is_on(window, day))
        is_inside = any(opens <= span[0] and span[1] <= closes for opens, closes in hours)
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


def _open(
    windows: Sequence[Window],
    zone: ZoneInfo,
    busy: Iterable[Span],
    length_minutes: int,
    from_at: datetime,
    until_at: datetime,
    *,
    now: datetime,
    policy: Policy,
) -> Iterator[datetime]:
    length = timedelta(minutes=length_minutes)
    first_at = max(from_at, now + policy.min_notice)
    last_at = min(until_at, now + policy.max_ahead)
    blocked = _merged(each for each in busy if each[1] > first_at)
    passed = 0  # spans of `blocked` that end at or before the present start
    for start_at in _listed(windows, zone, length_minutes, first_at, last_at, policy):
        while passed < len(blocked) and blocked[passed][1] <= start_at:
            passed += 1
        is_free = passed == len(blocked) or start_at + length <= blocked[passed][0]
        if is_free and start_at < until_at:
            yield start_at


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
) -> Iterator[datetime]:
    """Starts that the weekly hours list in [first_at, last_at], ascending."""
    if last_at < first_at:
        return
    day = first_at.astimezone(zone).date()
    last_day = last_at.astimezone(zone).date()
    while day <= last_day:
        for start_at in _listed_on(day, windows, zone, length_minutes, policy):
            if first_at <= start_at <= last_at:
                yield start_at
        day += _DAY


def _listed_on(
    day: date, windows: Sequence[Window], zone: ZoneInfo, length_minutes: int, policy: Policy
) -> list[datetime]:
    length, step = timedelta(minutes=length_minutes), timedelta(minutes=policy.slot_minutes)
    starts = []
    for window in sorted(each for each in windows if _is_on(each, day)):
        opens_at, closes_at = _hours(day, window, zone)
        if _shifts_near(day, zone):
            starts += [
                start_at
                for minute in range(window.start_minute, window.end_minute, policy.slot_minutes)
                if (start_at := _instant(day, minute, zone)) is not None
                and start_at + length <= closes_at
            ]
        else:
            count = (closes_at - opens_at - length) // step + 1
            starts += [opens_at + index * step for index in range(count)]
    return starts


def _is_on(window: Window, day: date) -> bool:
    return window.weekday == day.weekday()


def _shifts_near(day: date, zone: ZoneInfo) -> bool:
    noon = datetime.combine(day, time(12), zone)
    return (noon - _DAY).utcoffset() != (noon + _DAY).utcoffset()


def _hours(day: date, window: Window, zone: ZoneInfo) -> Span:
    return _reached_at(day, window.start_minute, zone), _reached_at(day, window.end_minute, zone)


def _wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone) + timedelta(minutes=minute)


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime | None:
    """The instant of a wall-clock time: the first of two; None if clocks skip the time."""
    instant = _wall(day, minute, zone).astimezone(UTC)
    is_shown = instant.astimezone(zone) == _wall(day, minute, zone)
    return instant if is_shown else None


def _reached_at(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """When clocks first show a wall-clock time or, if they skip it, any later time."""
    instant = _instant(day, minute, zone)
    if instant is not None:
        return instant
    wall = _wall(day, minute, zone)
    early, late = (wall.replace(fold=fold).astimezone(UTC) for fold in (1, 0))
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall.replace(tzinfo=None):
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)

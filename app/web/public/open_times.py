"""A therapist's open times by the visitor's calendar: a month, and about a week of its days."""

from calendar import MONDAY, Calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from app import config
from app.rules.lifecycle import Kind
from app.services import availability
from app.store.models import Therapist
from app.web.public.times_view import TimesView
from app.web.template_filters import local_day
from emails import formatting

_DAYS_SHOWN = 7
# Of all days on a page together.
_MAX_TIMES_SHOWN = 150
_ONE_DAY = timedelta(days=1)


# Until which hour each part of a day lasts.
_PARTS = ((12, "Morning"), (17, "Afternoon"), (24, "Evening"))


@dataclass(frozen=True, slots=True)
class Opening:
    """An open start; `label` is its local time, such as `14:00` or `01:30 GMT`."""

    starts_at: datetime
    label: str

    @property
    def part_of_day(self) -> str:
        hour = int(self.label.partition(":")[0])
        return next(name for until, name in _PARTS if hour < until)


@dataclass(frozen=True, slots=True)
class Day:
    on: date
    openings: list[Opening]
    zone_name: str

    @property
    def parts(self) -> list[tuple[str, list[Opening]]]:
        """The openings of its morning, afternoon and evening, without empty parts."""
        groups = groupby(self.openings, lambda each: each.part_of_day)
        return [(name, list(openings)) for name, openings in groups]


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month with the number of open times of its days.

    `weeks` begin on Monday and have None for days of other months. `earlier_on` and `later_on`
    are the first open days of the nearest months before and after that have any.
    """

    first_on: date
    weeks: list[list[date | None]]
    open_times: Mapping[date, int]
    earlier_on: date | None
    later_on: date | None


@dataclass(frozen=True, slots=True)
class Openings:
    """Consecutive days, the first days of the pages before and after, the next day with times.

    `chosen` is the start that the visitor picked, None if it is not open. `day_before` and
    `day_after` are the nearest days with times around the first one that is shown.
    """

    days: list[Day]
    month: Month
    chosen: Opening | None
    earlier_on: date | None
    later_on: date | None
    next_open_on: date | None
    day_before: date | None
    day_after: date | None

    @property
    def is_empty(self) -> bool:
        return not any(day.openings for day in self.days)

    @property
    def is_chosen_elsewhere(self) -> bool:
        """Whether the chosen start is on none of these days."""
        return self.chosen is not None and not any(
            each.starts_at == self.chosen.starts_at for day in self.days for each in day.openings
        )

    @property
    def earliest_at(self) -> datetime | None:
        """The earliest start that this page can ask for."""
        shown = [each.starts_at for day in self.days for each in day.openings]
        return min([*shown, *([self.chosen.starts_at] if self.chosen else [])], default=None)

    @property
    def changes_clocks(self) -> bool:
        return len({day.zone_name for day in self.days}) > 1


def all_starts(therapist: Therapist, kind: Kind, now: datetime) -> tuple[datetime, ...]:
    """Every start that can be requested."""
    until_at = now + config.current().policy.max_ahead + _ONE_DAY
    return tuple(availability.open_times(therapist, kind, from_at=now, until_at=until_at, now=now))


def arrange(starts: Sequence[datetime], view: TimesView, now: datetime) -> Openings:
    """The days of one page: from the view's first day, or from the first one with open times."""
    policy, zone = config.current().policy, view.zone
    today, last_on = local_day(now, zone), local_day(now + policy.max_ahead, zone)
    by_day: dict[date, list[datetime]] = {}
    for starts_at in starts:
        by_day.setdefault(local_day(starts_at, zone), []).append(starts_at)
    first_open_on = min(by_day, default=today)
    first_on = min(max(view.from_on or first_open_on, today), last_on)
    days = _days(first_on, last_on, by_day, zone)
    after = days[-1].on + _ONE_DAY
    next_open_on = min((day for day in by_day if day >= after), default=None)
    before = max(first_open_on, first_on - _DAYS_SHOWN * _ONE_DAY)
    shown_on = next((day.on for day in days if day.openings), first_on)
    return Openings(
        days=days,
        month=_month(shown_on, by_day),
        chosen=_chosen(view, starts, days[0].zone_name),
        earlier_on=before if before < first_on else None,
        later_on=after if next_open_on else None,
        next_open_on=next_open_on,
        day_before=max((day for day in by_day if day < shown_on), default=None),
        day_after=min((day for day in by_day if day > shown_on), default=None),
    )


def _month(shown_on: date, by_day: Mapping[date, Sequence[datetime]]) -> Month:
    """The month of that day."""
    weeks = Calendar(MONDAY).monthdatescalendar(shown_on.year, shown_on.month)
    first_on = shown_on.replace(day=1)
    first_days: dict[date, date] = {}
    for day in sorted(by_day):
        first_days.setdefault(day.replace(day=1), day)
    before = max((each for each in first_days if each < first_on), default=None)
    after = min((each for each in first_days if each > first_on), default=None)
    return Month(
        first_on=first_on,
        weeks=[[day if day.month == shown_on.month else None for day in week] for week in weeks],
        open_times={day: len(starts) for day, starts in by_day.items()},
        earlier_on=first_days[before] if before else None,
        later_on=first_days[after] if after else None,
    )


def _chosen(view: TimesView, starts: Sequence[datetime], zone_named: str) -> Opening | None:
    if view.chosen_at is None or view.chosen_at not in starts:
        return None
    return Opening(view.chosen_at, formatting.date_time(view.chosen_at, view.zone, zone_named))


def _days(
    first_on: date, last_on: date, by_day: dict[date, list[datetime]], zone: str
) -> list[Day]:
    """Up to a week; fewer days where those would have too many times for one page."""
    days: list[Day] = []
    shown = 0
    for offset in range(_DAYS_SHOWN):
        on = first_on + offset * _ONE_DAY
        starts = by_day.get(on, [])
        shown += len(starts)
        if days and (on > last_on or shown > _MAX_TIMES_SHOWN):
            break
        openings = [Opening(at, formatting.time(at, zone)) for at in starts]
        noon = datetime.combine(on, time(12), ZoneInfo(zone)).astimezone(UTC)
        days.append(Day(on, openings, formatting.zone_name(noon, zone)))
    return days

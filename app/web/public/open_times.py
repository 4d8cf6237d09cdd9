"""A therapist's open times as a page shows them: day by day in the visitor's zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app import config
from app.rules.lifecycle import Kind
from app.services import availability
from app.store.models import Therapist
from app.web.template_filters import local_day
from emails import formatting

_DAYS = 7
_MOST_SHOWN = 150
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """One open time and how the visitor's clock shows it."""

    starts_at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of the visitor, its open times, and its zone's name on that day."""

    on: date
    openings: list[Opening]
    zone_name: str


@dataclass(frozen=True, slots=True)
class Openings:
    """Some days in a row, and the days from which the pages before and after begin."""

    days: list[Day]
    earlier_on: date | None
    later_on: date | None
    next_open_on: date | None

    @property
    def is_empty(self) -> bool:
        """Whether none of these days has an open time."""
        return not any(day.openings for day in self.days)

    @property
    def changes_clocks(self) -> bool:
        """Whether the zone's name is not the same on all of these days."""
        return len({day.zone_name for day in self.days}) > 1


def list_openings(
    therapist: Therapist, kind: Kind, zone: str, *, from_on: date | None, now: datetime
) -> Openings:
    """About a week of open times from `from_on`, or else from the first day that has any."""
    policy = config.current().policy
    today, last_on = local_day(now, zone), local_day(now + policy.max_ahead, zone)
    starts = availability.open_times(
        therapist, kind, from_at=now, until_at=now + policy.max_ahead + _ONE_DAY, now=now
    )
    by_day: dict[date, list[datetime]] = {}
    for starts_at in starts:
        by_day.setdefault(local_day(starts_at, zone), []).append(starts_at)
    first_on = from_on or min(by_day, default=today)
    first_on = min(max(first_on, today), last_on)
    days = _days(first_on, last_on, by_day, zone)
    after = days[-1].on + _ONE_DAY
    return Openings(
        days=days,
        earlier_on=max(today, first_on - _DAYS * _ONE_DAY) if first_on > today else None,
        later_on=after if after <= last_on else None,
        next_open_on=min((day for day in by_day if day >= after), default=None),
    )


def _days(
    first_on: date, last_on: date, by_day: dict[date, list[datetime]], zone: str
) -> list[Day]:
    """Up to a week of days, fewer where a week would be too long to read."""
    days: list[Day] = []
    shown = 0
    for ahead in range(_DAYS):
        on = first_on + ahead * _ONE_DAY
        starts = by_day.get(on, [])
        shown += len(starts)
        if days and (on > last_on or shown > _MOST_SHOWN):
            break
        days.append(Day(on, _with_labels(starts, zone), _zone_on(on, zone)))
    return days


def _zone_on(on: date, zone: str) -> str:
    noon = datetime.combine(on, time(12), ZoneInfo(zone)).astimezone(UTC)
    return formatting.zone_name(noon, zone)


def _with_labels(starts: Sequence[datetime], zone: str) -> list[Opening]:
    """Each start by the clock; with the zone's short name where clocks show it twice that day."""
    shown = [formatting.time(starts_at, zone) for starts_at in starts]
    return [
        Opening(starts_at, _label_with_zone(starts_at, zone) if shown.count(label) > 1 else label)
        for starts_at, label in zip(starts, shown, strict=True)
    ]


def _label_with_zone(starts_at: datetime, zone: str) -> str:
    abbreviation = formatting.zone_abbreviation(starts_at, zone)
    return f"{formatting.time(starts_at, zone)} {abbreviation}"

"""Local days and times that people type, as instants; clocks that change are minded."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


def begins_at(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in the zone, also where clocks skip its midnight; aware UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When clocks of the zone show that time of that day, aware UTC; of two such, the first.

    ValueError names a time that the clocks skip, and one that they show instead.
    """
    found = datetime.combine(day, at, zone).astimezone(UTC)
    shown = found.astimezone(zone)
    if shown.replace(tzinfo=None) != datetime.combine(day, at):
        raise ValueError(
            f"The clocks go forward on {day.isoformat()} and skip {at:%H:%M}:"
            f" please give {shown:%H:%M} instead."
        )
    return found

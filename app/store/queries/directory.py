"""Named reads of Find a Therapist: many therapists at once, in a fixed number of queries."""

from collections.abc import Sequence
from datetime import datetime

from peewee import SQL, Expression, fn

from app.rules.weekly_hours import Window
from app.store import queries
from app.store.models import Booking, Therapist, TimeOff
from app.store.models import Window as WindowRow

Spans = dict[int, list[tuple[datetime, datetime]]]
"""[start, end) spans by therapist id."""


def therapists(
    now: datetime, *, name: str, specialism: str, is_free: bool, offset: int, limit: int
) -> list[Therapist]:
    """Listed therapists, best first, whose name and specialisms hold those words."""
    found = queries.therapists_listed(now)
    if name:
        found = found.where(Therapist.name.contains(name))
    if specialism:
        found = found.where(Therapist.specialisms.contains(specialism))
    if is_free:
        found = found.where(Therapist.offers_free_consultation)
    return list(found.offset(offset).limit(limit))


def idle(start: datetime, end: datetime, now: datetime) -> Expression:
    """Therapists of whom no held booking and no time off touches [start, end)."""
    held = Booking.select(SQL("1")).where(
        Booking.therapist == Therapist.id, queries.holding(start, end, now)
    )
    time_off = TimeOff.select(SQL("1")).where(
        TimeOff.therapist == Therapist.id, TimeOff.ends_at > start, TimeOff.starts_at < end
    )
    is_idle: Expression = ~fn.EXISTS(held) & ~fn.EXISTS(time_off)
    return is_idle


def specialisms() -> list[str]:
    """Every specialism of a listed therapist, in order."""
    rows = Therapist.select(Therapist.specialisms).where(queries.LISTED).distinct()
    named = {part.strip() for row in rows for part in row.specialisms.split(",")}
    return sorted(named - {""}, key=str.casefold)


def windows(ids: Sequence[int]) -> dict[int, list[Window]]:
    """Weekly availability by therapist id."""
    found: dict[int, list[Window]] = {therapist_id: [] for therapist_id in ids}
    rows = WindowRow.select(
        WindowRow.therapist, WindowRow.weekday, WindowRow.start_minute, WindowRow.end_minute
    ).where(WindowRow.therapist.in_(ids))
    each: tuple[int, int, int, int]
    for each in rows.tuples():  # type: ignore[assignment] # stubs know models only
        found[each[0]].append(Window(*each[1:]))
    return found


def busy_spans(ids: Sequence[int], start: datetime, end: datetime, now: datetime) -> Spans:
    """What held bookings and time off cover of [start, end), by therapist id."""
    found: Spans = {each: [] for each in ids}
    held = Booking.select(Booking.therapist, Booking.starts_at, Booking.ends_at).where(
        Booking.therapist.in_(ids), queries.holding(start, end, now)
    )
    time_off = TimeOff.select(TimeOff.therapist, TimeOff.starts_at, TimeOff.ends_at).where(
        TimeOff.therapist.in_(ids), TimeOff.ends_at > start, TimeOff.starts_at < end
    )
    for therapist_id, starts_at, ends_at in held.union_all(time_off).tuples():
        found[therapist_id].append((starts_at, ends_at))
    return found

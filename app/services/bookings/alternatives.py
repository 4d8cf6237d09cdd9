"""Which other therapists could take a booking: those free at its time, or near it."""

from datetime import datetime, timedelta
from itertools import islice

from peewee import ModelSelect

from app import config
from app.rules.availability import Span
from app.rules.lifecycle import Kind
from app.rules.weekly_hours import Window
from app.services import availability
from app.services.availability import OpenSlot, OpenTimes
from app.store import queries
from app.store.models import Booking, Therapist
from app.store.queries import directory

MOST_ALTERNATIVES = 3
# Therapists are read in batches, best-ranked first: a small one, then larger ones up to a limit.
_FIRST_BATCH = 60
_LARGEST_BATCH = 1000
_NEAR = timedelta(days=7)


def free_therapists(booking: Booking, now: datetime) -> list[OpenSlot]:
    """Up to three other therapists, best-ranked first, who are free at the booking's time.

    If the time is too near, or no other therapist has it open: the best-ranked with an open time
    within a week of it, nearest time first.
    """
    listed, windows = queries.read_together(booking, "listed", lambda _: _best_listed(now))
    first = _fitting(listed, booking)
    rest = None if len(listed) < _FIRST_BATCH else _others(booking, listed, now)
    if booking.starts_at - now < config.current().policy.min_notice:
        kind = booking.kind
        soonest = queries.read_together(
            booking, ("soonest", kind), lambda _: _soonest(listed, kind, windows, now)
        )
        fitting = {therapist.id for therapist in first}
        near = [slot for slot in soonest if slot.therapist.id in fitting]
        return _nearest(booking, near, rest, now)
    free = _free_at_its_time(booking, first, windows, rest, now)
    if free:
        return [OpenSlot(therapist, booking.starts_at) for therapist in free]
    open_times = OpenTimes(first, booking.kind, _span(booking, now), now, windows)
    near = [
        _nearest_slot(therapist, times, booking)
        for therapist in first
        if (times := open_times(therapist, _span(booking, now)))
    ]
    return _nearest(booking, near, rest, now)


def _best_listed(now: datetime) -> tuple[list[Therapist], dict[int, list[Window]]]:
    listed = queries.best_listed(now, _FIRST_BATCH)
    return listed, directory.windows([therapist.id for therapist in listed])


def _soonest(
    listed: list[Therapist], kind: Kind, windows: dict[int, list[Window]], now: datetime
) -> list[OpenSlot]:
    """The first open time of each that has one, for bookings whose own time is too near."""
    span = now, now + 2 * _NEAR
    open_times = OpenTimes(listed, kind, span, now, windows)
    return [
        OpenSlot(therapist, times[0])
        for therapist in listed
        if (times := open_times(therapist, span, 1))
    ]


def _fitting(listed: list[Therapist], booking: Booking) -> list[Therapist]:
    others = [therapist for therapist in listed if therapist.id != booking.therapist_id]
    if booking.kind is not Kind.FREE_CONSULTATION:
        return others
    used = {each.therapist_id for each in queries.free_consultations_of(booking.client)}
    return [each for each in others if each.offers_free_consultation and each.id not in used]


def _others(booking: Booking, listed: list[Therapist], now: datetime) -> "ModelSelect[Therapist]":
    """Those behind the first batch."""
    others = queries.listed_therapists(now).where(
        Therapist.id != booking.therapist_id,
        Therapist.id.not_in([therapist.id for therapist in listed]),
    )
    if booking.kind is Kind.FREE_CONSULTATION:
        used = queries.free_consultations_of(booking.client)
        others = others.where(Therapist.offers_free_consultation, Therapist.id.not_in(used))
    return others


def _free_at_its_time(
    booking: Booking,
    first: list[Therapist],
    windows: dict[int, list[Window]],
    rest: "ModelSelect[Therapist] | None",
    now: datetime,
) -> list[Therapist]:
    kind, starts_at = booking.kind, booking.starts_at
    span = starts_at, starts_at + timedelta(microseconds=1)
    open_times = OpenTimes(first, kind, span, now, windows)
    free = list(islice((each for each in first if open_times(each, span)), MOST_ALTERNATIVES))
    if len(free) < MOST_ALTERNATIVES and rest is not None:
        length = timedelta(minutes=availability.length_minutes(kind, config.current().policy))
        idle = rest.where(directory.free_between(starts_at, starts_at + length, now))
        free += [therapist for therapist, _ in _first_open(idle, kind, span, now)]
    return free[:MOST_ALTERNATIVES]


def _nearest(
    booking: Booking,
    near: list[OpenSlot],
    rest: "ModelSelect[Therapist] | None",
    now: datetime,
) -> list[OpenSlot]:
    if len(near) < MOST_ALTERNATIVES and rest is not None:
        found = _first_open(rest, booking.kind, _span(booking, now), now)
        near = near + [_nearest_slot(therapist, times, booking) for therapist, times in found]
    in_order = sorted(near, key=lambda slot: abs(slot.starts_at - booking.starts_at))
    return in_order[:MOST_ALTERNATIVES]


def _nearest_slot(therapist: Therapist, times: list[datetime], booking: Booking) -> OpenSlot:
    return OpenSlot(therapist, min(times, key=lambda at: abs(at - booking.starts_at)))


def _span(booking: Booking, now: datetime) -> Span:
    from_at = max(now, booking.starts_at - _NEAR)
    return from_at, from_at + 2 * _NEAR


def _first_open(
    others: "ModelSelect[Therapist]", kind: Kind, span: tuple[datetime, datetime], now: datetime
) -> list[tuple[Therapist, list[datetime]]]:
    found: list[tuple[Therapist, list[datetime]]] = []
    offset, size = 0, _FIRST_BATCH
    while len(found) < MOST_ALTERNATIVES and (batch := list(others.offset(offset).limit(size))):
        open_times = OpenTimes(batch, kind, span, now)
        found += [(each, times) for each in batch if (times := open_times(each, span))]
        offset, size = offset + size, min(4 * size, _LARGEST_BATCH)
    return found

"""Which other therapists could take a booking: those free at its time, or near it."""

from datetime import datetime, timedelta

from peewee import ModelSelect

from app import config
from app.rules.lifecycle import Kind
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
    kind, starts_at = booking.kind, booking.starts_at
    others = _others(booking, kind, now)
    first = list(others.limit(_FIRST_BATCH))
    is_everyone = len(first) < _FIRST_BATCH
    rest = others.where(Therapist.id.not_in([therapist.id for therapist in first]))
    from_at = max(now, starts_at - _NEAR)
    near_span = from_at, from_at + 2 * _NEAR
    open_times = OpenTimes(first, kind, near_span, now)
    policy = config.current().policy
    if starts_at - now >= policy.min_notice:
        same_time = starts_at, starts_at + timedelta(microseconds=1)
        free = [therapist for therapist in first if open_times(therapist, same_time)]
        if len(free) < MOST_ALTERNATIVES and not is_everyone:
            ends_at = starts_at + timedelta(minutes=availability.length_minutes(kind, policy))
            idle = rest.where(directory.free_between(starts_at, ends_at, now))
            free += [therapist for therapist, _ in _first_open(idle, kind, same_time, now)]
        if free:
            return [OpenSlot(therapist, starts_at) for therapist in free[:MOST_ALTERNATIVES]]

    def distance(slot: OpenSlot) -> timedelta:
        return abs(slot.starts_at - starts_at)

    near = [(each, times) for each in first if (times := open_times(each, near_span))]
    if len(near) < MOST_ALTERNATIVES and not is_everyone:
        near += _first_open(rest, kind, near_span, now)
    slots = [
        min((OpenSlot(therapist, at) for at in times), key=distance) for therapist, times in near
    ]
    return sorted(slots, key=distance)[:MOST_ALTERNATIVES]


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


def _others(booking: Booking, kind: Kind, now: datetime) -> "ModelSelect[Therapist]":
    listed = queries.listed_therapists(now).where(Therapist.id != booking.therapist_id)
    if kind is Kind.FREE_CONSULTATION:
        used = queries.free_consultations_of(booking.client)
        listed = listed.where(Therapist.offers_free_consultation, Therapist.id.not_in(used))
    return listed

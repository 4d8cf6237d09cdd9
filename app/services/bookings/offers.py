"""Choose Someone Else: who could take a booking's place."""

from datetime import datetime, timedelta

from peewee import ModelSelect

from app import config
from app.rules.lifecycle import Kind
from app.services import availability
from app.services.availability import OpenSlot
from app.store import queries
from app.store.models import Booking, Therapist
from app.store.queries import directory

MOST = 3
_FIRST_LOOK = 60
_LONGEST_LOOK = 1000
"""How many of the best-ranked are looked at together: at first, and when hardly one is free."""
_NEAR = timedelta(days=7)


def others_for(booking: Booking, now: datetime) -> list[OpenSlot]:
    """Up to three other therapists for the client, best first: free at that same time.

    Where that time is no longer possible, or nobody has it open, the best-ranked who have any time
    near it open, nearest first.
    """
    kind, starts_at = booking.kind, booking.starts_at
    others = _others(booking, kind, now)
    first = list(others.limit(_FIRST_LOOK))
    is_whole = len(first) < _FIRST_LOOK
    rest = others.where(Therapist.id.not_in([therapist.id for therapist in first]))
    from_at = max(now, starts_at - _NEAR)
    span = from_at, from_at + 2 * _NEAR
    open_times = availability.open_times_of_each(first, kind, span, now)
    policy = config.current().policy
    if starts_at - now >= policy.min_notice:
        then = starts_at, starts_at + timedelta(microseconds=1)
        same = [therapist for therapist in first if open_times(therapist, then)]
        if len(same) < MOST and not is_whole:
            ends_at = starts_at + timedelta(minutes=availability.length_minutes(kind, policy))
            idle = rest.where(directory.idle(starts_at, ends_at, now))
            same += [each for each, _ in _first_open(idle, kind, then, now)]
        if same:
            return [OpenSlot(therapist, starts_at) for therapist in same[:MOST]]

    def distance(slot: OpenSlot) -> timedelta:
        return abs(slot.starts_at - starts_at)

    near = [(each, times) for each in first if (times := open_times(each, span))]
    if len(near) < MOST and not is_whole:
        near += _first_open(rest, kind, span, now)
    slots = [
        min((OpenSlot(therapist, at) for at in times), key=distance) for therapist, times in near
    ]
    return sorted(slots, key=distance)[:MOST]


def _first_open(
    others: "ModelSelect[Therapist]", kind: Kind, span: tuple[datetime, datetime], now: datetime
) -> list[tuple[Therapist, list[datetime]]]:
    """Who has which times of a span open, until three or more of them are found."""
    found: list[tuple[Therapist, list[datetime]]] = []
    seen, size = 0, _FIRST_LOOK
    while len(found) < MOST and (some := list(others.offset(seen).limit(size))):
        open_times = availability.open_times_of_each(some, kind, span, now)
        found += [(each, times) for each in some if (times := open_times(each, span))]
        seen, size = seen + size, min(4 * size, _LONGEST_LOOK)
    return found


def _others(booking: Booking, kind: Kind, now: datetime) -> "ModelSelect[Therapist]":
    """Every other listed therapist whom the client may ask, the best-ranked first."""
    listed = queries.therapists_listed(now).where(Therapist.id != booking.therapist_id)
    if kind is Kind.FREE_CONSULTATION:
        used = queries.free_consultations_of(booking.client)
        listed = listed.where(Therapist.offers_free_consultation, Therapist.id.not_in(used))
    return listed

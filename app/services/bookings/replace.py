"""Choose Someone Else: who could take a booking, and asking them in its place."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from peewee import ModelSelect

from app import config
from app.errors import FieldError, InvalidFields, NotFound, NotReplaceable
from app.rules.lifecycle import Actor, Kind, Move, Status, Via
from app.services import availability
from app.services.availability import OpenSlot, OpenTimes
from app.services.bookings import request, transitions
from app.services.bookings.request import BookingRequest
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Purpose, Therapist
from app.store.queries import directory

# No other therapist can be requested in the place of such a booking.
NOT_REPLACEABLE = frozenset({Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW})

MOST_ALTERNATIVES = 3
# Therapists are read in batches, best-ranked first: a small one, then larger ones up to a limit.
_FIRST_BATCH = 60
_LARGEST_BATCH = 1000
_NEAR = timedelta(days=7)


@in_transaction
def choose_another(
    booking: Booking, slug: str, starts_at: datetime, *, via: Via, now: datetime
) -> Booking:
    """Request `slug` in place of a booking and withdraw the booking if it is still open.

    Returns the new booking, or the one that the same choice led to before. Raises what
    `request.request_booking` raises; NotFound also if the client was erased; NotReplaceable if the
    booking was accepted or another therapist is already asked in its place.
    """
    other = queries.therapist_by_slug(slug)
    if other.id == booking.therapist_id:
        raise InvalidFields(FieldError("therapist", "Please choose a different therapist."))
    queries.lock_therapists([booking.therapist_id, other.id])
    old = queries.booking_by_id(booking.id)
    if old.client.is_erased:
        raise NotFound("booking")
    replacements = queries.replacements_of(old)
    for replacement in replacements:
        if (replacement.therapist_id, replacement.starts_at) == (other.id, starts_at):
            return replacement
    current = _current(replacements, now)
    if current is not None:
        raise NotReplaceable(current.reference)
    if old.status in NOT_REPLACEABLE:
        raise NotReplaceable(old.reference)
    new = request.request_booking(_same_request(old, slug, starts_at), via=via, now=now)
    transitions.make_locked_move(old, Move.WITHDRAW, by=Actor.CLIENT, via=via, now=now)
    return new


def current_replacement(booking: Booking, now: datetime) -> Booking | None:
    return _current(queries.replacements_of(booking), now)


def _current(replacements: Sequence[Booking], now: datetime) -> Booking | None:
    statuses = NOT_REPLACEABLE | {Status.REQUESTED}
    return next((each for each in replacements if each.status_at(now) in statuses), None)


def _same_request(old: Booking, slug: str, starts_at: datetime) -> BookingRequest:
    notes = [each.body for each in queries.writings_of(old) if each.purpose is Purpose.NOTE]
    return BookingRequest(
        therapist=slug,
        name=old.client.name,
        email=old.client.email,
        timezone=old.client.timezone,
        starts_at=starts_at,
        kind=old.kind,
        note=notes[0] if notes else "",
        replaces=old,
    )


def alternatives_for(booking: Booking, now: datetime) -> list[OpenSlot]:
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

"""Choose Someone Else: requesting another therapist in the place of a booking."""

from collections.abc import Sequence
from datetime import datetime

from app.errors import FieldError, InvalidFields, NotFound, NotReplaceable
from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import request, transitions
from app.services.bookings.request import BookingRequest
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Purpose

# No other therapist can be requested in the place of such a booking.
NOT_REPLACEABLE = frozenset({Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW})


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
    notes = [each.body for each in queries.writings_of(old, Purpose.NOTE)]
    return BookingRequest(
        therapist=slug,
        name=old.client_name,
        given_name=old.client_given_name,
        email=old.client.email,
        timezone=old.client_timezone,
        starts_at=starts_at,
        kind=old.kind,
        note=notes[0] if notes else "",
        replaces=old,
    )

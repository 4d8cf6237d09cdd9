"""Choose Someone Else: asking another therapist in a booking's place, in one transaction."""

from datetime import datetime

from app.errors import BookingStands, FieldError, InvalidFields, NotFound
from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import moves, request
from app.services.bookings.request import Request
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Purpose

STANDING = frozenset({Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW})
"""Statuses in which nobody else can be asked in a booking's place."""


@in_transaction
def choose_another(
    reference: str, slug: str, starts_at: datetime, *, via: Via, now: datetime
) -> Booking:
    """Ask `slug` in place of a booking, and withdraw that one if it is still open: both or neither.

    The same choice again returns what it led to. Raises what `bookings.request` raises, NotFound
    also for a booking whose client was erased, and BookingStands where the booking was accepted
    or someone else is being asked in its place.
    """
    old = queries.booking_by_reference(reference)
    other = queries.therapist_by_slug(slug)
    if other.id == old.therapist_id:
        raise InvalidFields(FieldError("therapist", "Please choose somebody else than before."))
    # Always in the order of their ids, so that two clients who swap cannot wait for one another.
    for therapist_id in sorted((old.therapist_id, other.id)):
        queries.locked_therapist(therapist_id)
    old = queries.booking_by_id(old.id)
    if old.client.is_erased:
        raise NotFound("booking")
    for asked in queries.replacements_of(old):
        if (asked.therapist_id, asked.starts_at) == (other.id, starts_at):
            return asked
    standing = asked_instead(old, now)
    if standing is not None:
        raise BookingStands(standing.reference)
    if old.status in STANDING:
        raise BookingStands(old.reference)
    new = request.request(_same_for(old, slug, starts_at), via=via, now=now)
    moves.make(old.reference, Move.WITHDRAW, by=Actor.CLIENT, via=via, now=now)
    return new


def asked_instead(booking: Booking, now: datetime) -> Booking | None:
    """What stands between the client and someone else in this booking's place, if anything does."""
    return next(
        (
            asked
            for asked in queries.replacements_of(booking)
            if asked.status_at(now) in STANDING | {Status.REQUESTED}
        ),
        None,
    )


def _same_for(old: Booking, slug: str, starts_at: datetime) -> Request:
    notes = [each.body for each in queries.writings_of(old) if each.purpose is Purpose.NOTE]
    return Request(
        therapist=slug,
        name=old.client.name,
        email=old.client.email,
        timezone=old.client.timezone,
        starts_at=starts_at,
        kind=old.kind,
        note=notes[0] if notes else "",
        instead_of=old.reference,
    )

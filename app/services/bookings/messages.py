"""What the two people of a booking write to one another, and a therapist's private notes."""

from datetime import datetime

from app.errors import NotFound
from app.rules.lifecycle import Actor
from app.services.bookings import log, moves
from app.store import outbox
from app.store.db.database import in_transaction
from app.store.models import Booking, Purpose, Role, Writing

_TOLD = {Actor.CLIENT: Role.THERAPIST, Actor.THERAPIST: Role.CLIENT}


@in_transaction
def send(reference: str, body: str, *, author: Actor, now: datetime) -> Writing:
    """Keep a message (through intake) and tell the other party that one waits.

    The same words twice in a row are one message: a button was pressed twice. Raises NotFound,
    also where the client was erased.
    """
    booking = moves.lock(reference)
    if booking.client.is_erased:
        raise NotFound("booking")
    before = of(booking, Purpose.MESSAGE)[-1:]
    if before and (before[0].author, before[0].body) == (author, body):
        return before[0]
    message = _write(booking, Purpose.MESSAGE, author, body, now)
    ordinal = outbox.random_ordinal()
    outbox.enqueue("new_message", _TOLD[author], booking=booking, ordinal=ordinal, now=now)
    log.tell("message_written", booking, by=author)
    return message


@in_transaction
def keep_private_note(reference: str, body: str, *, now: datetime) -> Writing:
    """Keep a note that only the booking's therapist ever reads. Raises NotFound."""
    return _write(moves.lock(reference), Purpose.PRIVATE_NOTE, Actor.THERAPIST, body, now)


def of(booking: Booking, *purposes: Purpose) -> list[Writing]:
    """What was written on a booking for those purposes, oldest first."""
    return list(
        Writing.select()
        .where(Writing.booking == booking, Writing.purpose.in_(purposes))
        .order_by(Writing.id)
    )


def _write(booking: Booking, purpose: Purpose, author: Actor, body: str, now: datetime) -> Writing:
    writing: Writing = Writing.create(
        booking=booking, purpose=purpose, author=author, body=body, created_at=now
    )
    return writing

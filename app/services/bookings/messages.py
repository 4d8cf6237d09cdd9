"""Messages between the client and the therapist of a booking, and the therapist's private notes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from app.errors import MessagesEnded
from app.rules.lifecycle import Actor
from app.services.bookings import log, transitions
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.db.statements import Statement, update
from app.store.models import Booking, Purpose, Role, Writing

_UNREAD = Statement[Any](
    lambda booking, purpose, author, newest_id: Booking.update(
        unread_since=Writing.select(fn.MIN(Writing.created_at)).where(
            Writing.booking == Booking.id,
            Writing.purpose == purpose,
            Writing.author == author,
            Writing.id > newest_id,
        )
    ).where(Booking.id == booking)
)
# The same text again within this time is the same press, sent twice.
_SAME_PRESS = timedelta(minutes=5)
_RECIPIENT = {Actor.CLIENT: Role.THERAPIST, Actor.THERAPIST: Role.CLIENT}


@in_transaction
def send(booking: Booking, body: str, *, author: Actor, now: datetime) -> Writing:
    """Raises MessagesEnded once the booking is over, or if the client was erased."""
    booking = transitions.lock_booking(booking)
    same = _same_press(booking, Purpose.MESSAGE, author, body, now)
    if same is not None:
        return same
    if not booking.takes_messages_at(now):
        raise MessagesEnded
    message = _write(booking, Purpose.MESSAGE, author, body, now)
    if author is Actor.CLIENT and booking.unread_since is None:
        update(Booking, {"unread_since": now}, id=booking.id)
    outbox.enqueue(
        "new_message",
        _RECIPIENT[author],
        booking=booking,
        ordinal=outbox.random_ordinal(),
        now=now,
    )
    log.booking_event("message_written", booking, by=author)
    return message


@in_transaction
def note_read(booking: Booking, shown: Iterable[Writing]) -> None:
    """The therapist has opened what is `shown`; a message that came since stays unread."""
    queries.lock_therapists([booking.therapist_id])
    newest_id = max((each.id for each in shown), default=0)
    _UNREAD.run(booking.id, Purpose.MESSAGE, Actor.CLIENT, newest_id)


@in_transaction
def keep_private_note(booking: Booking, body: str, *, now: datetime) -> Writing:
    booking = transitions.lock_booking(booking)
    same = _same_press(booking, Purpose.PRIVATE_NOTE, Actor.THERAPIST, body, now)
    return same or _write(booking, Purpose.PRIVATE_NOTE, Actor.THERAPIST, body, now)


def is_reason_stored(booking: Booking, reason: str) -> bool:
    """True without a reason, too. A second decline does not replace the reason of the first."""
    stored = queries.writings_of(booking, Purpose.REASON) if reason else []
    return not reason or reason in [each.body for each in stored]


def _same_press(
    booking: Booking, purpose: Purpose, author: Actor, body: str, now: datetime
) -> Writing | None:
    written = queries.writings_of(booking, purpose)
    if not written or now - written[-1].created_at >= _SAME_PRESS:
        return None
    return written[-1] if (written[-1].author, written[-1].body) == (author, body) else None


def _write(booking: Booking, purpose: Purpose, author: Actor, body: str, now: datetime) -> Writing:
    writing: Writing = Writing.create(
        booking=booking, purpose=purpose, author=author, body=body, created_at=now
    )
    return writing

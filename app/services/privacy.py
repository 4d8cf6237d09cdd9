"""What is held on a client: giving it to them, and removing it while the ledger stays."""

from datetime import datetime
from typing import Any

from app.errors import FieldError, InvalidFields, NotFound
from app.rules.lifecycle import LIVE
from app.services import ledger
from app.store import queries, suppressions
from app.store.database import in_transaction
from app.store.models import (
    Booking,
    Client,
    OutboxEmail,
    OutboxStatus,
    Purpose,
    Role,
    TimelineEntry,
    Writing,
)


def export(address: str) -> dict[str, Any]:
    """All that is held on a client, as plain values. Raises NotFound.

    A therapist's private notes are the therapist's own records and stay with them.
    """
    client = _client(address)
    bookings = Booking.select().where(Booking.client == client).order_by(Booking.requested_at)
    return {
        "email": client.email,
        "name": client.name,
        "timezone": client.timezone,
        "first_seen_at": client.created_at.isoformat(),
        "bookings": [_booking(booking) for booking in bookings],
    }


@in_transaction
def erase(address: str, now: datetime) -> int:
    """Remove what is held on a client and keep the ledger; how many bookings were touched.

    Their links stop working. Raises NotFound, and InvalidFields while a booking of theirs is
    live: somebody would otherwise be left waiting for a person we no longer know.
    """
    client = _client(address)
    live = Booking.select().where(Booking.client == client, Booking.status.in_(LIVE))
    waiting = [booking.reference for booking in live if now < booking.ends_at]
    if waiting:
        raise InvalidFields(
            FieldError("email", f"has live bookings ({', '.join(waiting)}); cancel them first")
        )
    mine = Booking.select(Booking.id).where(Booking.client == client)
    Writing.delete().where(Writing.booking.in_(mine)).execute()
    OutboxEmail.update(
        status=OutboxStatus.SKIPPED, last_error="the client was erased", settled_at=now
    ).where(
        OutboxEmail.role == Role.CLIENT,
        OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING, OutboxStatus.FAILED]),
        OutboxEmail.booking.in_(mine) | (OutboxEmail.client == client),
    ).execute()
    touched = Booking.update(epoch=Booking.epoch + 1).where(Booking.client == client).execute()
    suppressions.forget(address)
    gone = f"erased-{client.id}@erased.invalid"
    Client.update(email=gone, email_key=gone, name="Erased", timezone="UTC").where(
        Client.id == client.id
    ).execute()
    return int(touched)


def _client(address: str) -> Client:
    client = queries.client_by_email(address)
    if client is None:
        raise NotFound("client with that address")
    return client


def _booking(booking: Booking) -> dict[str, Any]:
    writings = Writing.select().where(
        Writing.booking == booking, Writing.purpose != Purpose.PRIVATE_NOTE
    )
    timeline = TimelineEntry.select().where(TimelineEntry.booking == booking)
    emails = OutboxEmail.select().where(
        OutboxEmail.booking == booking, OutboxEmail.role == Role.CLIENT
    )
    return {
        "reference": booking.reference,
        "therapist": booking.therapist.slug,
        "kind": str(booking.kind),
        "status": str(booking.status),
        "starts_at": booking.starts_at.isoformat(),
        "fee_minor": booking.fee_minor,
        "currency": booking.currency,
        "written": [
            {
                "by": str(each.author),
                "what": str(each.purpose),
                "text": each.body,
                "at": each.created_at.isoformat(),
            }
            for each in writings.order_by(Writing.id)
        ],
        "timeline": [
            {"event": each.event, "by": str(each.by), "at": each.at.isoformat()}
            for each in timeline.order_by(TimelineEntry.id)
        ],
        "ledger": [
            {"account": line.account, "amount_minor": line.amount_minor}
            for line in ledger.lines_of(booking)
        ],
        "emails": [
            {"kind": each.kind, "status": str(each.status), "at": each.created_at.isoformat()}
            for each in emails.order_by(OutboxEmail.id)
        ],
    }

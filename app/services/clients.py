"""What is held on a client: giving it to them, and removing it while the ledger stays."""

from datetime import datetime
from typing import Any

from peewee import Expression

from app.errors import FieldError, InvalidFields, NotFound
from app.rules.lifecycle import LIVE, Via
from app.services.bookings import ledger, transitions
from app.store import queries, suppressions
from app.store.db.database import drop_log, in_transaction, on_commit
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
    bookings = Booking.select().where(Booking.client == client)
    return {
        "email": client.email,
        "name": client.name,
        "timezone": client.timezone,
        "first_seen_at": client.created_at.isoformat(),
        "no_emails_because": suppressions.reason_at(client.email),
        "bookings": [_booking(booking) for booking in bookings.order_by(Booking.id)],
        "emails": _emails(OutboxEmail.client == client),
    }


@in_transaction
def erase(address: str, now: datetime) -> int:
    """Remove what is held on a client and keep the ledger; how many bookings were touched.

    Their links stop working. Raises NotFound, and InvalidFields while a booking of theirs is
    live: somebody would otherwise be left waiting for a person we no longer know.
    """
    client = _client(address)
    # Therapists before clients, as everywhere; then nobody can write or ask anything any more.
    bookings = Booking.select(Booking.therapist).where(Booking.client == client)
    queries.lock_therapists(booking.therapist_id for booking in bookings)
    _catch_up(client, now)
    if queries.locked_client(address) is None:
        raise NotFound("client with that address")
    live = Booking.select().where(Booking.client == client, Booking.status.in_(LIVE))
    waiting = [booking.reference for booking in live.order_by(Booking.id) if now < booking.ends_at]
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
    gone = client.erased_address
    Client.update(email=gone, email_key=gone, name="Erased", timezone="UTC").where(
        Client.id == client.id
    ).execute()
    on_commit(drop_log)
    return int(touched)


def _catch_up(client: Client, now: datetime) -> None:
    """Write down what the clock has ended of the client's bookings, their therapists locked."""
    mine = (Booking.client == client) & Booking.status.in_(LIVE)
    for booking in queries.with_therapist_and_client(mine):
        transitions.catch_up(booking, via=Via.CLI, now=now)


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
        "emails": _emails((OutboxEmail.booking == booking) & (OutboxEmail.role == Role.CLIENT)),
    }


def _emails(which: Expression) -> list[dict[str, str]]:
    return [
        {"kind": each.kind, "status": str(each.status), "at": each.created_at.isoformat()}
        for each in OutboxEmail.select().where(which).order_by(OutboxEmail.id)
    ]

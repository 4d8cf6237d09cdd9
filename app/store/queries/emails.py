"""Emails of the outbox: for ops, and those of one booking."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from peewee import JOIN, ModelSelect, Value

from app.errors import NotFound
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    Client,
    OutboxEmail,
    OutboxStatus,
    Role,
    Suppression,
    Therapist,
)
from app.store.queries.locking import locking


def email_by_id(email_id: int) -> OutboxEmail:
    """Raises NotFound."""
    email: OutboxEmail | None = OutboxEmail.get_or_none(OutboxEmail.id == email_id)
    if email is None:
        raise NotFound("email")
    return email


def newest_emails(status: OutboxStatus | None, limit: int) -> list[OutboxEmail]:
    emails = OutboxEmail.select().order_by(OutboxEmail.id.desc()).limit(limit)
    return list(emails if status is None else emails.where(OutboxEmail.status == status))


def failed_emails_to(therapist: Therapist) -> list[OutboxEmail]:
    is_theirs = (Booking.therapist == therapist) | (OutboxEmail.therapist == therapist)
    failed = (OutboxEmail.role == Role.THERAPIST) & (OutboxEmail.status == OutboxStatus.FAILED)
    emails = OutboxEmail.select().join(Booking, JOIN.LEFT_OUTER).where(is_theirs, failed)
    return list(emails.order_by(OutboxEmail.id))


def has_left(about: str) -> bool:
    """Whether an email about it has been sent, or is being sent."""
    is_out = OutboxEmail.status.in_([OutboxStatus.SENDING, OutboxStatus.SENT])
    return bool(OutboxEmail.select().where(OutboxEmail.about == about, is_out).exists())


def locked_waiting(about: str) -> OutboxEmail | None:
    """The newest email about it that has not left yet; the lock keeps it from leaving."""
    waiting = OutboxEmail.select().where(
        OutboxEmail.about == about, OutboxEmail.status == OutboxStatus.QUEUED
    )
    email: OutboxEmail | None = locking(waiting.order_by(OutboxEmail.id.desc()).limit(1)).first()
    return email


def emails_about_bookings(
    person: Client | Therapist, role: Role, limit: int
) -> list[tuple[int, str, str, int]]:
    """(number, reference, kind, ordinal) of the newest emails to a person about bookings."""
    own = Booking.client if role is Role.CLIENT else Booking.therapist
    emails = (
        OutboxEmail.select(OutboxEmail.id, Booking.reference, OutboxEmail.kind, OutboxEmail.ordinal)
        .join(Booking)
        .where(own == person, OutboxEmail.role == role)
    )
    rows = emails.order_by(OutboxEmail.id.desc()).limit(limit).tuples()
    return cast("list[tuple[int, str, str, int]]", list(rows))


@dataclass(frozen=True, slots=True)
class Delivery:
    """An email of a booking; without `kind`, the recipient's address, which is unreachable."""

    role: Role
    kind: str
    status: OutboxStatus
    created_at: datetime
    ended_at: datetime | None
    error: str | None
    email: int | None


def _deliveries(booking_id: Any, client_key: Any, therapist_key: Any) -> Any:
    emails = OutboxEmail.select(
        OutboxEmail.role,
        OutboxEmail.kind,
        OutboxEmail.status,
        OutboxEmail.created_at,
        OutboxEmail.settled_at,
        OutboxEmail.last_error,
        OutboxEmail.id,
    ).where(OutboxEmail.booking == booking_id)
    # One query: every page of a booking asks this.
    addresses = _address(Role.CLIENT, client_key).union_all(_address(Role.THERAPIST, therapist_key))
    return emails.union_all(addresses).tuples()


_DELIVERIES = Statement[tuple[Any, ...]](_deliveries)


def deliveries_of(booking: Booking) -> list[Delivery]:
    rows = _DELIVERIES.all(booking.id, booking.client.email_key, booking.therapist.email_key)
    return [Delivery(*row) for row in rows]


def _address(role: Role, address_key: Any) -> "ModelSelect[Suppression]":
    return Suppression.select(
        Value(role),
        Value(""),
        Value(OutboxStatus.FAILED),
        Suppression.at,
        Suppression.at,
        Suppression.reason,
        Suppression.email,
    ).where(Suppression.address_key == address_key)

"""Emails of the outbox: for ops, and those of one booking."""

from dataclasses import dataclass
from datetime import datetime

from peewee import JOIN, ModelSelect, Value

from app.errors import NotFound
from app.store.models import (
    Booking,
    Client,
    OutboxEmail,
    OutboxStatus,
    Role,
    Suppression,
    Therapist,
)


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


def deliveries_of(booking: Booking) -> list[Delivery]:
    emails = OutboxEmail.select(
        OutboxEmail.role,
        OutboxEmail.kind,
        OutboxEmail.status,
        OutboxEmail.created_at,
        OutboxEmail.settled_at,
        OutboxEmail.last_error,
        OutboxEmail.id,
    ).where(OutboxEmail.booking == booking)
    # One query: every page of a booking asks this.
    rows = emails.union_all(_address(Role.CLIENT, booking.client)).union_all(
        _address(Role.THERAPIST, booking.therapist)
    )
    return [Delivery(*row) for row in rows.tuples()]


def _address(role: Role, person: Client | Therapist) -> "ModelSelect[Suppression]":
    return Suppression.select(
        Value(role),
        Value(""),
        Value(OutboxStatus.FAILED),
        Suppression.at,
        Suppression.at,
        Suppression.reason,
        Suppression.email,
    ).where(Suppression.address_key == person.email_key)

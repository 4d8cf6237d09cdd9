"""Emails of the outbox: for ops, and those of one booking."""

from peewee import JOIN

from app.errors import NotFound
from app.store.models import Booking, OutboxEmail, OutboxStatus, Role, Suppression, Therapist


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


def emails_of(booking: Booking) -> list[OutboxEmail]:
    return list(OutboxEmail.select().where(OutboxEmail.booking == booking))


def unreachable_sides(booking: Booking) -> list[Suppression]:
    keys = [booking.client.email_key, booking.therapist.email_key]
    return list(Suppression.select().where(Suppression.address_key.in_(keys)))

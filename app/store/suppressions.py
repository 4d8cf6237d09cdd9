"""Addresses that a mail server refused for good: nothing is sent to them until ops lifts it."""

from datetime import datetime
from typing import Any

from peewee import JOIN, Expression, ForeignKeyField, ModelSelect, fn

from app.store.models import Booking, Client, OutboxEmail, Role, Suppression, Therapist, email_key


def key_of(email: OutboxEmail) -> str | None:
    # Ops is never suppressed: an alarm must be tried each time, and a wrong OPS_EMAIL is corrected
    # in the settings.
    recipient = email.recipient
    return email_key(recipient.email) if recipient else None


def add(key: str, reason: str, now: datetime) -> None:
    Suppression.insert(address_key=key, reason=reason[:300], at=now).on_conflict_ignore().execute()


def reason_for(email: OutboxEmail) -> str | None:
    key = key_of(email)
    return _reason(key) if key is not None else None


def reason_at(address: str) -> str | None:
    return _reason(email_key(address))


def lift(which: Expression) -> int:
    """`which` is a condition on OutboxEmail; returns how many."""
    clients = _keys(Client, Booking.client, OutboxEmail.client, which, Role.CLIENT)
    therapists = _keys(Therapist, Booking.therapist, OutboxEmail.therapist, which, Role.THERAPIST)
    recipients = Suppression.address_key.in_(clients) | Suppression.address_key.in_(therapists)
    return int(Suppression.delete().where(recipients).execute())


def forget(address: str) -> None:
    Suppression.delete().where(Suppression.address_key == email_key(address)).execute()


def _reason(key: str) -> str | None:
    row = Suppression.get_or_none(Suppression.address_key == key)
    return row.reason if row else None


def _keys(
    person: type[Client] | type[Therapist],
    of_booking: ForeignKeyField,
    own: ForeignKeyField,
    which: Expression,
    role: Role,
) -> "ModelSelect[Any]":
    ids = (
        OutboxEmail.select(fn.COALESCE(of_booking, own))
        .join(Booking, JOIN.LEFT_OUTER)
        .where(which, OutboxEmail.role == role)
    )
    return person.select(person.email_key).where(person.id.in_(ids))

"""Addresses that our emails do not reach: since when, why, and until when none is sent."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import JOIN, Expression, ForeignKeyField, ModelSelect, fn

from app.store.db import statements
from app.store.db.statements import Statement
from app.store.models import Booking, Client, OutboxEmail, Role, Suppression, Therapist, email_key

LASTS = timedelta(days=7)
_OF_ADDRESS = Statement[Suppression](
    lambda key: Suppression.select().where(Suppression.address_key == key)
)
# Refusals by words alone until an address is believed to be dead.
DOUBTS = 2


def key_of(email: OutboxEmail) -> str | None:
    # Ops is never suppressed: an alarm must be tried each time, and a wrong OPS_EMAIL is corrected
    # in the settings.
    if email.role is Role.OPS:
        return None
    recipient = email.recipient
    known = getattr(recipient, "email_key", None)
    return known or (email_key(recipient.email) if recipient else None)


def add(
    email: OutboxEmail, reason: str, now: datetime, *, is_proven: bool, is_doubted: bool
) -> bool:
    """Note that an email did not reach its recipient; whether nothing is sent there from now on."""
    key = key_of(email)
    assert key is not None
    Suppression.insert(
        address_key=key, reason=reason[:300], at=now, email=email
    ).on_conflict_ignore().execute()
    row = Suppression.get(Suppression.address_key == key)
    changes: dict[str, Any] = {"reason": reason[:300], "doubts": row.doubts + is_doubted}
    is_believed = is_proven or (is_doubted and row.doubts + 1 >= DOUBTS)
    if is_believed:
        changes["until"] = now + LASTS
    Suppression.update(**changes).where(Suppression.id == row.id).execute()
    return is_believed


def of_emails(emails: Iterable[OutboxEmail]) -> dict[int, Suppression]:
    """What is known of the recipients of emails that none reached, by the email's id."""
    keys = {email.id: key for email in emails if (key := key_of(email)) is not None}
    rows = (
        {row.address_key: row for row in _BY_KEYS.all(sorted(set(keys.values())))} if keys else {}
    )
    return {email_id: rows[key] for email_id, key in keys.items() if key in rows}


def of_address(address: str) -> Suppression | None:
    """None where emails reach the address, as far as we know."""
    return _row(email_key(address))


def end(email: OutboxEmail) -> bool:
    """One arrived; whether the recipient had been unreachable."""
    key = key_of(email)
    return bool(Suppression.delete().where(Suppression.address_key == key).execute())


def try_again(address: str) -> None:
    # Its owner signs in, books, or asks for links.
    statements.update(Suppression, {"until": None}, address_key=email_key(address))


def lift(which: Expression) -> None:
    """Try the recipients of emails again; `which` is a condition on OutboxEmail."""
    clients = _keys(Client, Booking.client, OutboxEmail.client, which, Role.CLIENT)
    therapists = _keys(Therapist, Booking.therapist, OutboxEmail.therapist, which, Role.THERAPIST)
    recipients = Suppression.address_key.in_(clients) | Suppression.address_key.in_(therapists)
    Suppression.update(until=None).where(recipients).execute()


def forget(address: str) -> bool:
    """Whether it had been unreachable."""
    key = email_key(address)
    return bool(Suppression.delete().where(Suppression.address_key == key).execute())


_BY_KEYS = statements.Statement[Suppression](
    lambda keys: Suppression.select().where(Suppression.address_key.in_(keys))
)


def _row(key: str) -> Suppression | None:
    return _OF_ADDRESS.first(key)


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

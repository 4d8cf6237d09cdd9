"""The outbox: emails queued with the move that causes them, retried, held, counted."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from peewee import SQL, IntegrityError

from app import config
from app.store import suppressions, wakeups
from app.store.db import statements
from app.store.db.database import in_transaction, on_commit, savepoint
from app.store.models import (
    Booking,
    Client,
    Hold,
    OutboxEmail,
    OutboxStatus,
    Role,
    Therapist,
    email_key,
)

# The name of the outbox's Hold.
OUTBOX = "outbox"

# Word for word as in the partial indexes: SQLite does not use them with bound values.
PENDING = SQL("status IN ('queued', 'sending')")


def enqueue(kind: str, role: Role, **about: Any) -> OutboxEmail:
    """Queue one email in the caller's transaction, as `new_email` describes it.

    It is sent after the commit. Raises IntegrityError if (about, kind, role, ordinal) was queued
    before.
    """
    email = new_email(kind, role, **about)
    email.save(force_insert=True)
    on_commit(wakeups.ring)
    return email


def enqueue_each(emails: Iterable[tuple[str, Role]], **about: Any) -> None:
    """As `enqueue`, with one statement for several kinds and roles."""
    rows = [new_email(kind, role, **about) for kind, role in emails]
    if rows:
        statements.insert(*rows)
        on_commit(wakeups.ring)


def new_email(
    kind: str,
    role: Role,
    *,
    now: datetime,
    booking: Booking | None = None,
    therapist: Therapist | None = None,
    client: Client | None = None,
    about: str | None = None,
    ordinal: int = 1,
    facts: dict[str, Any] | None = None,
    due_at: datetime | None = None,
    not_before: datetime | None = None,
    address: str | None = None,
) -> OutboxEmail:
    """An email that is not stored yet.

    `about` defaults to the booking's reference. `due_at` is the moment of the step that the email
    is about, even if the step runs later: emails that a restored database queues again are then
    older than the moment of the loss, and can be told apart. `not_before` keeps it waiting until
    then. `address`: where it goes to somebody who is no client.
    """
    subject = about or (booking.reference if booking else None)
    if subject is None:
        raise ValueError("an email needs a booking or `about`")
    email = OutboxEmail(
        about=subject,
        kind=kind,
        role=role,
        ordinal=ordinal,
        booking=booking,
        therapist=therapist,
        client=client,
        thread=f"{subject}:{role}",
        facts=facts or {},
        created_at=now,
        due_at=not_before or min(due_at or now, now),
    )
    recipient = email.recipient if address is None else None
    # People's rows have the key of their address.
    key = getattr(recipient, "email_key", None)
    if key is None:
        key = email_key(address or (recipient.email if recipient else config.current().ops_email))
    email.domain = key.rpartition("@")[2]
    return email


def enqueue_once(kind: str, role: Role, *, booking: Booking, now: datetime, **more: Any) -> bool:
    """Queue the one email of its kind for a booking and role; whether it is new."""
    earlier = (OutboxEmail.about == booking.reference) & (OutboxEmail.kind == kind)
    if OutboxEmail.select().where(earlier, OutboxEmail.role == role).exists():
        return False
    try:
        with savepoint():
            enqueue(kind, role, booking=booking, now=now, **more)
    except IntegrityError:
        # Another process was quicker.
        return False
    return True


def _domain(address: str) -> str:
    return email_key(address).rpartition("@")[2]


def random_ordinal() -> int:
    # So that a Message-ID is never used twice: row ids repeat after a restore, and a mail server
    # shows only the first of two messages with one Message-ID.
    return 1 + secrets.randbelow(2**31 - 1)


def mark_bounced(email: OutboxEmail, error: str, now: datetime) -> None:
    """In the caller's transaction: what a mail server took did not arrive after all."""
    was_sent = (OutboxEmail.id == email.id) & (OutboxEmail.status == OutboxStatus.SENT)
    changes = {"status": OutboxStatus.FAILED, "last_error": error, "settled_at": now}
    OutboxEmail.update(**changes).where(was_sent).execute()


@in_transaction
def retry_failed(email_id: int | None, now: datetime) -> int:
    """One email, or all (None), as if new; how many. Suppressed addresses are tried too."""
    failed = OutboxEmail.status == OutboxStatus.FAILED
    chosen = failed if email_id is None else failed & (OutboxEmail.id == email_id)
    suppressions.lift(chosen)
    return int(
        OutboxEmail.update(
            status=OutboxStatus.QUEUED,
            due_at=now,
            attempts=0,
            first_tried_at=None,
            settled_at=None,
            last_error=None,
        )
        .where(chosen)
        .execute()
    )


@in_transaction
def restart_queued(person: Therapist | Client, now: datetime) -> None:
    """Make a person's queued emails due now, with no attempts, after an address change."""
    is_client = isinstance(person, Client)
    of_booking, of_email, role = (
        (Booking.client, OutboxEmail.client, Role.CLIENT)
        if is_client
        else (Booking.therapist, OutboxEmail.therapist, Role.THERAPIST)
    )
    bookings = Booking.select(Booking.id).where(of_booking == person)
    is_theirs = (of_email == person) | OutboxEmail.booking.in_(bookings)
    OutboxEmail.update(
        due_at=now, attempts=0, first_tried_at=None, domain=_domain(person.email)
    ).where(
        is_theirs, OutboxEmail.role == role, OutboxEmail.status == OutboxStatus.QUEUED
    ).execute()


@in_transaction
def hold(now: datetime) -> None:
    # An earlier hold keeps its time.
    Hold.insert(name=OUTBOX, at=now).on_conflict_ignore().execute()


@in_transaction
def release(now: datetime) -> int:
    """Returns how many emails are due."""
    Hold.delete().where(Hold.name == OUTBOX).execute()
    return due_count(now)


_HELD = statements.Statement[Hold](lambda name: Hold.select().where(Hold.name == name))


def held_since() -> datetime | None:
    row = _HELD.first(OUTBOX)
    return row.at if row else None


def due_count(now: datetime) -> int:
    return int(OutboxEmail.select().where(PENDING, OutboxEmail.due_at <= now).count())

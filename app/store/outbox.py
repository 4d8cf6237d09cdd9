"""The outbox: enqueue in the caller's transaction, claim with a lease, settle with its token."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from peewee import SQL, Expression, fn

from app import config
from app.store.db.database import db, in_transaction, is_sqlite
from app.store.models import Booking, Client, Hold, OutboxEmail, OutboxStatus, Role, Therapist

TIMEOUTS_IN_A_LEASE = 20
"""A lease outlasts the slowest SMTP conversation, which takes at most 15 timeouts."""

OUTBOX = "outbox"
"""The name of its hold."""

_PENDING = SQL("status IN ('queued', 'sending')")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one email until its lease runs out; `email` is as it was before.

    But for its attempts, of which this is one.
    """

    email: OutboxEmail
    token: str

    @property
    def due_at(self) -> datetime:
        """Since when it had been due; since it was written, if some worker had had it."""
        was_queued = self.email.status is OutboxStatus.QUEUED
        return self.email.due_at if was_queued else self.email.created_at


def enqueue(
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
) -> OutboxEmail:
    """Write one email to be sent after the caller's transaction commits.

    `due_at` is the moment of the step that it tells of, however late that is taken: so what a
    restored database brings about once more stands before the moment of the loss.
    `about` is what the email's identity derives from (a booking's reference if one is given);
    (about, kind, role, ordinal) is unique, so that nothing can be told twice. Raises
    IntegrityError where it was.
    """
    subject = about or (booking.reference if booking else None)
    if subject is None:
        raise ValueError("an email is about a booking, or says what it is about")
    email: OutboxEmail = OutboxEmail.create(
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
        due_at=min(due_at or now, now),
    )
    return email


def random_ordinal() -> int:
    """What tells an email about no booking from all others of its kind to the same address.

    Row ids and counts come again once rows are forgotten, erased or restored, and with them
    Message-IDs, of which a mail server shows its reader the first only.
    """
    return 1 + secrets.randbelow(2**31 - 1)


@in_transaction
def claim(now: datetime, limit: int) -> list[Claim]:
    """Take up to `limit` due emails, the oldest of each thread only, so that order is kept.

    An email whose worker died is due again when its lease has run out. None while it is held.
    """
    locking = "" if is_sqlite() else "FOR UPDATE SKIP LOCKED"
    rows = db.execute_sql(
        f"""
        SELECT id FROM outbox_email AS mail
        WHERE status IN ('queued', 'sending') AND due_at <= {_mark()}
          AND NOT EXISTS (SELECT 1 FROM hold WHERE name = '{OUTBOX}')
          AND NOT EXISTS (
            SELECT 1 FROM outbox_email AS earlier
            WHERE earlier.thread = mail.thread AND earlier.id < mail.id
              AND earlier.status IN ('queued', 'sending'))
        ORDER BY due_at, id LIMIT {_mark()} {locking}
        """,  # noqa: S608 - our own words; the values are bound
        (OutboxEmail.due_at.db_value(now), limit),
    ).fetchall()
    ids = [row[0] for row in rows]
    if not ids:
        return []
    these = OutboxEmail.id.in_(ids)
    emails = {each.id: each for each in OutboxEmail.select().where(these)}
    for email in emails.values():
        email.attempts += 1
    token = uuid4().hex
    OutboxEmail.update(
        status=OutboxStatus.SENDING,
        lease_token=token,
        due_at=now + lease(),
        attempts=OutboxEmail.attempts + 1,
    ).where(these).execute()
    return [Claim(emails[each], token) for each in ids]


@in_transaction
def renew(claimed: Claim, now: datetime) -> bool:
    """Lengthen the lease just before sending; False if another worker has taken the email."""
    renewed = OutboxEmail.update(due_at=now + lease()).where(_still_ours(claimed)).execute()
    return bool(renewed)


def may_go(claimed: Claim) -> bool:
    """Whether nobody has taken the email over or has ended it, and nothing is held."""
    held = fn.EXISTS(Hold.select(SQL("1")).where(Hold.name == OUTBOX))
    return bool(OutboxEmail.select().where(_still_ours(claimed) & ~held).exists())


def _still_ours(claimed: Claim) -> Expression:
    return (
        (OutboxEmail.id == claimed.email.id)
        & (OutboxEmail.lease_token == claimed.token)
        & (OutboxEmail.status == OutboxStatus.SENDING)
    )


def settle(
    claimed: Claim,
    status: OutboxStatus,
    *,
    now: datetime,
    error: str | None = None,
    retry_at: datetime | None = None,
    burns_attempt: bool = True,
) -> bool:
    """Write down how a claimed email ended; False, and nothing written, if the lease was lost."""
    changes: dict[str, Any] = {
        "status": status,
        "lease_token": None,
        "last_error": error,
        "due_at": retry_at or now,
    }
    if retry_at is None:
        changes["settled_at"] = now
    if burns_attempt:
        changes["first_tried_at"] = claimed.email.first_tried_at or now
    else:
        changes["attempts"] = OutboxEmail.attempts - 1
    return bool(OutboxEmail.update(**changes).where(_still_ours(claimed)).execute())


@in_transaction
def give_back(
    claims: Iterable[Claim], now: datetime, *, not_before: datetime | None = None
) -> None:
    """Put claimed emails that were not tried back as they were, or to be due from later on."""
    for claimed in claims:
        settle(
            claimed, OutboxStatus.QUEUED, now=now, error=claimed.email.last_error,
            retry_at=not_before or claimed.due_at, burns_attempt=False,
        )  # fmt: skip


@in_transaction
def hold(now: datetime) -> None:
    """Keep every sender from claiming until `release`; a hold that is on stays as it is."""
    Hold.insert(name=OUTBOX, at=now).on_conflict_ignore().execute()


@in_transaction
def release(now: datetime) -> int:
    """Let the outbox go again; how many emails are due at `now`."""
    Hold.delete().where(Hold.name == OUTBOX).execute()
    return due_count(now)


def held_since() -> datetime | None:
    """Since when nothing is sent; None if the outbox is not held."""
    row = Hold.get_or_none(Hold.name == OUTBOX)
    return row.at if row else None


def due_count(now: datetime) -> int:
    """How many emails could be sent at `now`."""
    return int(OutboxEmail.select().where(_PENDING, OutboxEmail.due_at <= now).count())


def oldest_due_at(now: datetime) -> datetime | None:
    """Since when the most overdue email has been due; None if none is."""
    oldest = (
        OutboxEmail.select(OutboxEmail.due_at)
        .where(_PENDING, OutboxEmail.due_at <= now)
        .order_by(OutboxEmail.due_at)
        .first()
    )
    return oldest.due_at if oldest else None


def lease() -> timedelta:
    """How long a claim lasts from when it was taken or renewed."""
    return timedelta(seconds=TIMEOUTS_IN_A_LEASE * config.current().mail_timeout)


def _mark() -> str:
    return str(db.obj.param)

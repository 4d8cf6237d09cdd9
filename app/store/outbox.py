"""The outbox: enqueue with the move, claim with a lease, send after the commit."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from peewee import JOIN, SQL, Expression, IntegrityError, fn

from app import config
from app.store import pauses, suppressions, wakeups
from app.store.db import statements
from app.store.db.database import db, in_transaction, is_sqlite, on_commit, savepoint
from app.store.models import (
    Booking,
    Client,
    Hold,
    MailPause,
    OutboxEmail,
    OutboxStatus,
    Role,
    Therapist,
    email_key,
)

# So long after a scheduler died, others send the emails it had claimed. One that lives renews.
LEASE = timedelta(seconds=8)
# No message is ended with less of its lease than this left.
LEASE_LEFT = LEASE / 2

# The name of the outbox's Hold.
OUTBOX = "outbox"

# Word for word as in the partial indexes: SQLite does not use them with bound values.
_PENDING = SQL("status IN ('queued', 'sending')")
_SENDING = OutboxEmail.status == OutboxStatus.SENDING


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on one email; `email` is the row with its booking, therapist and client."""

    email: OutboxEmail
    token: str
    # Since when it was due. If another worker had it, that is only known as its creation.
    due_at: datetime
    # The scope of the pause that this email is to end, if it is tried for that.
    probes: str | None = None


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
    if address is None:
        recipient = email.recipient
        address = recipient.email if recipient else config.current().ops_email
    email.domain = _domain(address)
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


def claim(now: datetime, limit: int) -> list[Claim]:
    """Up to `limit`; nothing while the outbox is held. After a pause, one alone to try it."""
    token = uuid4().hex
    due_at, probes = _take(now, limit, token)
    emails = load(list(due_at)) if due_at else {}
    return [Claim(emails[each], token, at, probes) for each, at in due_at.items() if each in emails]


@in_transaction
def _take(now: datetime, limit: int, token: str) -> tuple[dict[int, datetime], str | None]:
    """Since when each claimed email was due, by id; and the scope of the pause that it probes."""
    for pause in pauses.over(now):
        is_any = pause.scope == pauses.EVERYTHING
        due = _due(now, 1, "" if is_any else f"AND domain = {_mark()}", pause.scope)
        if due and pauses.take(pause, now, now + LEASE):
            _lease(list(due), now, token)
            return due, pause.scope
    due = _due(now, limit, f"AND {pauses.NOT_PAUSED}")
    if due:
        _lease(list(due), now, token)
    return due, None


def _due(now: datetime, limit: int, which: str, *values: str) -> dict[int, datetime]:
    # At most one of each thread, so that a thread's emails keep their order.
    locking = "" if is_sqlite() else "FOR UPDATE SKIP LOCKED"
    bound = values if _mark() in which else ()
    rows = db.execute_sql(
        f"""
        SELECT id, CASE status WHEN 'queued' THEN due_at ELSE created_at END
        FROM outbox_email AS mail
        WHERE status IN ('queued', 'sending') AND due_at <= {_mark()}
          AND NOT EXISTS (SELECT 1 FROM hold WHERE name = '{OUTBOX}')
          AND NOT EXISTS (
            SELECT 1 FROM outbox_email AS earlier
            WHERE earlier.thread = mail.thread AND earlier.id < mail.id
              AND earlier.status IN ('queued', 'sending'))
          {which}
        ORDER BY due_at, id LIMIT {_mark()} {locking}
        """,  # noqa: S608 - our own words; the values are bound
        (_stored(now), *bound, limit),
    ).fetchall()
    return {email_id: _instant(at) for email_id, at in rows}


def _lease(ids: list[int], now: datetime, token: str) -> None:
    OutboxEmail.update(
        status=OutboxStatus.SENDING,
        lease_token=token,
        due_at=now + LEASE,
        attempts=OutboxEmail.attempts + 1,
    ).where(OutboxEmail.id.in_(ids)).execute()


_WITH_BOOKING = statements.Statement[OutboxEmail](
    lambda ids: (
        OutboxEmail.select(OutboxEmail, Booking, Therapist, Client)
        .join(Booking, JOIN.LEFT_OUTER)
        .join(Therapist, JOIN.LEFT_OUTER)
        .switch(Booking)
        .join(Client, JOIN.LEFT_OUTER)
        .where(OutboxEmail.id.in_(ids))
    )
)


def load(ids: list[int]) -> dict[int, OutboxEmail]:
    """Emails by id, with their bookings and both sides of those."""
    return {email.id: email for email in _WITH_BOOKING.all(ids)}


@in_transaction
def renew(claims: Iterable[Claim], now: datetime) -> int:
    """Start leases again; how many are still ours."""
    ids = {each.email.id: each.token for each in claims}
    ours = OutboxEmail.lease_token.in_(set(ids.values())) & OutboxEmail.id.in_(list(ids))
    return int(OutboxEmail.update(due_at=now + LEASE).where(ours, _SENDING).execute())


_MAY_SEND = statements.Statement[tuple[int]](
    lambda email_id, token, until, scopes: (
        OutboxEmail.select(OutboxEmail.id)
        .where(
            OutboxEmail.id == email_id,
            OutboxEmail.lease_token == token,
            OutboxEmail.due_at > until,
            _SENDING,
            ~fn.EXISTS(Hold.select(SQL("1")).where(Hold.name == OUTBOX)),
            ~fn.EXISTS(MailPause.select(SQL("1")).where(MailPause.scope.in_(scopes))),
        )
        .tuples()
    )
)


def may_send(claim: Claim, now: datetime) -> bool:
    """Whether its lease lasts, and neither the outbox is held nor its domain paused."""
    scopes = [""] if claim.probes else [claim.email.domain, pauses.EVERYTHING]
    return _MAY_SEND.first(claim.email.id, claim.token, now + LEASE_LEFT, scopes) is not None


def _is_valid(claim: Claim) -> Expression:
    ours: Expression = (OutboxEmail.id == claim.email.id) & (OutboxEmail.lease_token == claim.token)
    return ours & _SENDING


@in_transaction
def end_sent(claims: Collection[Claim], now: datetime) -> set[int]:
    """Record emails as sent; the ids of those whose claims are still valid, which it changes."""
    ids = {each.email.id: each.token for each in claims}
    valid = OutboxEmail.select(OutboxEmail.id, OutboxEmail.lease_token).where(
        OutboxEmail.id.in_(list(ids)), _SENDING
    )
    rows = valid if is_sqlite() else valid.for_update()
    ours = [row.id for row in rows if ids[row.id] == row.lease_token]
    if ours:
        OutboxEmail.update(
            status=OutboxStatus.SENT,
            lease_token=None,
            last_error=None,
            due_at=now,
            settled_at=now,
            first_tried_at=fn.COALESCE(
                OutboxEmail.first_tried_at, OutboxEmail.due_at.db_value(now)
            ),
        ).where(OutboxEmail.id.in_(ours)).execute()
    return set(ours)


def end_claim(
    claim: Claim,
    status: OutboxStatus,
    *,
    now: datetime,
    error: str | None = None,
    retry_at: datetime | None = None,
    counts_as_attempt: bool = True,
) -> bool:
    """False, and writes nothing, if the claim is no longer valid."""
    changes: dict[str, Any] = {
        "status": status,
        "lease_token": None,
        "last_error": error,
        "due_at": retry_at or now,
    }
    if retry_at is None:
        changes["settled_at"] = now
    if counts_as_attempt:
        changes["first_tried_at"] = claim.email.first_tried_at or now
    else:
        changes["attempts"] = OutboxEmail.attempts - 1
    return bool(OutboxEmail.update(**changes).where(_is_valid(claim)).execute())


def mark_bounced(email: OutboxEmail, error: str, now: datetime) -> None:
    """In the caller's transaction: what a mail server took did not arrive after all."""
    was_sent = (OutboxEmail.id == email.id) & (OutboxEmail.status == OutboxStatus.SENT)
    changes = {"status": OutboxStatus.FAILED, "last_error": error, "settled_at": now}
    OutboxEmail.update(**changes).where(was_sent).execute()


@in_transaction
def give_back(
    claims: Iterable[Claim], now: datetime, *, not_before: datetime | None = None
) -> None:
    for claim in claims:
        end_claim(
            claim,
            OutboxStatus.QUEUED,
            now=now,
            error=claim.email.last_error,
            retry_at=not_before or claim.due_at,
            counts_as_attempt=False,
        )
        if claim.probes:
            pauses.give_back(claim.probes, now)


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


def held_since() -> datetime | None:
    row = Hold.get_or_none(Hold.name == OUTBOX)
    return row.at if row else None


def due_count(now: datetime) -> int:
    return int(OutboxEmail.select().where(_PENDING, OutboxEmail.due_at <= now).count())


def oldest_due_at(now: datetime) -> datetime | None:
    oldest = (
        OutboxEmail.select(OutboxEmail.due_at)
        .where(_PENDING, OutboxEmail.due_at <= now, pauses.may_be_tried(now))
        .order_by(OutboxEmail.due_at)
        .first()
    )
    return oldest.due_at if oldest else None


def _stored(at: datetime) -> int | None:
    return OutboxEmail.due_at.db_value(at)


def _instant(stored: int) -> datetime:
    return cast("datetime", OutboxEmail.due_at.python_value(stored))


def _mark() -> str:
    return str(db.obj.param)

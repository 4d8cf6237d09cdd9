"""Claims on due emails: taken with a short lease, renewed, and ended with how the try went."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from peewee import JOIN, SQL, Expression, fn

from app.store import pauses
from app.store.db.database import db, in_transaction, is_sqlite
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    Client,
    Hold,
    MailPause,
    OutboxEmail,
    OutboxStatus,
    Therapist,
)
from app.store.outbox import OUTBOX, PENDING
from app.store.queries.locking import locking

# So long after a scheduler died, others send the emails it had claimed. One that lives renews.
LEASE = timedelta(seconds=8)
# No message is ended with less of its lease than this left.
LEASE_LEFT = LEASE / 2


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on one email; `email` is the row with its booking, therapist and client."""

    email: OutboxEmail
    # The row has it for as long as the claim is valid.
    token: str
    # Since when it was due. If another worker had it, that is only known as its creation.
    due_at: datetime
    # The scope of the pause that this email is to end, if it is tried for that.
    probes: str | None = None


def claim(now: datetime, limit: int, *, also_lost: bool = True) -> list[Claim]:
    """Up to `limit`; nothing while the outbox is held. After a pause, one alone to try it.

    `also_lost`: those whose lease has ended, too.
    """
    token = uuid4().hex
    due_at, probes = _take(now, limit, token, "" if also_lost else "AND status = 'queued'")
    emails = load(list(due_at)) if due_at else {}
    return [Claim(emails[each], token, at, probes) for each, at in due_at.items() if each in emails]


@in_transaction
def _take(
    now: datetime, limit: int, token: str, which: str
) -> tuple[dict[int, datetime], str | None]:
    """Since when each claimed email was due, by id; and the scope of the pause that it probes."""
    for pause in pauses.over(now):
        is_any = pause.scope == pauses.EVERYTHING
        due = _due(now, 1, f"{which} {'' if is_any else f'AND domain = {_mark()}'}", pause.scope)
        if due and pauses.take(pause, now, now + LEASE):
            _lease(list(due), now, token)
            return due, pause.scope
    due = _due(now, limit, f"{which} AND {pauses.NOT_PAUSED}")
    if due:
        _lease(list(due), now, token)
    return due, None


def _due(now: datetime, limit: int, which: str, *values: str) -> dict[int, datetime]:
    # At most one of each thread, so that a thread's emails keep their order. Not as NOT EXISTS:
    # PostgreSQL would compare all that wait with each other.
    locking = "" if is_sqlite() else "FOR UPDATE SKIP LOCKED"
    bound = values if _mark() in which else ()
    rows = db.execute_sql(
        f"""
        SELECT id, CASE status WHEN 'queued' THEN due_at ELSE created_at END
        FROM outbox_email AS mail
        WHERE status IN ('queued', 'sending') AND due_at <= {_mark()}
          AND NOT EXISTS (SELECT 1 FROM hold WHERE name = '{OUTBOX}')
          AND id = (
            SELECT min(id) FROM outbox_email AS waiting
            WHERE waiting.thread = mail.thread
              AND waiting.status NOT IN ('sent', 'failed', 'skipped'))
          {which}
        ORDER BY due_at, id LIMIT {_mark()} {locking}
        """,  # noqa: S608 - our own words; the values are bound
        (_stored(now), *bound, limit),
    ).fetchall()
    return {email_id: _instant(at) for email_id, at in rows}


_LEASE = Statement[Any](
    lambda ids, until, token: OutboxEmail.update(
        status=OutboxStatus.SENDING,
        lease_token=token,
        due_at=until,
        attempts=OutboxEmail.attempts + 1,
    ).where(OutboxEmail.id.in_(ids))
)


def _lease(ids: list[int], now: datetime, token: str) -> None:
    _LEASE.run(ids, _stored(now + LEASE), token)


_WITH_BOOKING = Statement[OutboxEmail](
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


_RENEW = Statement[Any](
    lambda until, tokens, ids: OutboxEmail.update(due_at=until).where(
        OutboxEmail.lease_token.in_(tokens), OutboxEmail.id.in_(ids)
    )
)


@in_transaction
def renew(claims: Iterable[Claim], now: datetime) -> int:
    """Start leases again; how many are still ours."""
    tokens = {each.email.id: each.token for each in claims}
    return _RENEW.run(_stored(now + LEASE), sorted(set(tokens.values())), sorted(tokens))


_MAY_SEND = Statement[tuple[int]](
    lambda email_id, token, until, scopes: (
        OutboxEmail.select(OutboxEmail.id)
        .where(
            OutboxEmail.id == email_id,
            OutboxEmail.lease_token == token,
            OutboxEmail.due_at > until,
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
    return (OutboxEmail.id == claim.email.id) & (OutboxEmail.lease_token == claim.token)


_LOCKED_CLAIMS = Statement[tuple[int, str]](
    lambda ids: locking(
        OutboxEmail.select(OutboxEmail.id, OutboxEmail.lease_token)
        .where(OutboxEmail.id.in_(ids))
        .tuples()
    )
)
_END_SENT = Statement[Any](
    lambda ids, now: OutboxEmail.update(
        status=OutboxStatus.SENT,
        lease_token=None,
        last_error=None,
        due_at=now,
        settled_at=now,
        first_tried_at=fn.COALESCE(OutboxEmail.first_tried_at, now),
    ).where(OutboxEmail.id.in_(ids))
)


@in_transaction
def end_sent(claims: Collection[Claim], now: datetime) -> set[int]:
    """Record emails as sent; the ids of those whose claims are still valid, which it changes."""
    tokens = {each.email.id: each.token for each in claims}
    rows = _LOCKED_CLAIMS.all(sorted(tokens))
    ours = [email_id for email_id, token in rows if tokens[email_id] == token]
    if ours:
        _END_SENT.run(ours, _stored(now))
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


_OLDEST_DUE = Statement[tuple[datetime]](
    lambda now: (
        OutboxEmail.select(OutboxEmail.due_at)
        .where(PENDING, OutboxEmail.due_at <= now, pauses.may_be_tried(now))
        .order_by(OutboxEmail.due_at)
        .limit(1)
        .tuples()
    )
)


def oldest_due_at(now: datetime) -> datetime | None:
    oldest = _OLDEST_DUE.first(now)
    return oldest[0] if oldest else None


def _stored(at: datetime) -> int | None:
    return OutboxEmail.due_at.db_value(at)


def _instant(stored: int) -> datetime:
    return cast("datetime", OutboxEmail.due_at.python_value(stored))


def _mark() -> str:
    return str(db.obj.param)

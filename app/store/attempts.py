"""Delivery attempts: only ever added, so that counts of them never decrease."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from app.store.db import statements
from app.store.models import DeliveryAttempt, OutboxEmail, Outcome

MAX_SAID = 300
# How many of the newest attempts `has_sent_between` looks at.
NEWEST = 1000


def add(
    email: OutboxEmail,
    outcome: Outcome,
    now: datetime,
    said: str | None = None,
    *,
    code: int | None = None,
) -> None:
    # `said` is kept for good, so it must be safe to log.
    kept = said[:MAX_SAID] if said else None
    DeliveryAttempt.insert(email=email, at=now, outcome=outcome, code=code, said=kept).execute()


def add_sent(email_ids: Iterable[int], now: datetime) -> None:
    rows = [DeliveryAttempt(email=each, at=now, outcome=Outcome.SENT) for each in email_ids]
    if rows:
        statements.insert(*rows)


def list_for(email: OutboxEmail) -> list[DeliveryAttempt]:
    attempts = DeliveryAttempt.select().where(DeliveryAttempt.email == email)
    return list(attempts.order_by(DeliveryAttempt.id))


def has_sent_since_last(email: OutboxEmail, domain: str | None = None) -> bool:
    """Whether a mail server took another email (for `domain`) after the last attempt at this."""
    last = DeliveryAttempt.select(fn.MAX(DeliveryAttempt.id)).where(DeliveryAttempt.email == email)
    later = (DeliveryAttempt.id > last) & (DeliveryAttempt.outcome == Outcome.SENT)
    sent = DeliveryAttempt.select().join(OutboxEmail).where(later)
    return bool((sent.where(OutboxEmail.domain == domain) if domain else sent).exists())


def has_sent_between(start: datetime, end: datetime) -> bool:
    """Whether one of the NEWEST attempts was made from `start` to `end` and ended as sent."""
    newest = (
        DeliveryAttempt.select(DeliveryAttempt.outcome, DeliveryAttempt.at)
        .order_by(DeliveryAttempt.id.desc())
        .limit(NEWEST)
    )
    return any(each.outcome is Outcome.SENT and start <= each.at <= end for each in newest)


def counts() -> dict[Outcome, int]:
    rows: Iterable[Any] = (
        DeliveryAttempt.select(DeliveryAttempt.outcome, fn.COUNT(SQL("*")))
        .group_by(DeliveryAttempt.outcome)
        .tuples()
    )
    return dict.fromkeys(Outcome, 0) | dict(rows)

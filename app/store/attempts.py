"""Every attempt to deliver an email: only ever added to, so that what is counted never falls."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from app.store.models import DeliveryAttempt, OutboxEmail, Outcome

LONGEST_SAID = 300
NEWEST = 1000
"""So many attempts are looked at, however many there are."""


def note(
    email: OutboxEmail,
    outcome: Outcome,
    now: datetime,
    said: str | None = None,
    *,
    code: int | None = None,
) -> None:
    """Write down how an attempt ended, in the caller's transaction if there is one.

    `said` is kept for good: it must be safe to log. `code` is the mail server's reply, if any.
    """
    kept = said[:LONGEST_SAID] if said else None
    DeliveryAttempt.insert(email=email, at=now, outcome=outcome, code=code, said=kept).execute()


def of_email(email: OutboxEmail) -> list[DeliveryAttempt]:
    """The attempts at one email, in the order in which they were made."""
    tries = DeliveryAttempt.select().where(DeliveryAttempt.email == email)
    return list(tries.order_by(DeliveryAttempt.id))


def has_sent_since_last(email: OutboxEmail) -> bool:
    """Whether a mail server took another email after the last attempt at this one."""
    last = DeliveryAttempt.select(fn.MAX(DeliveryAttempt.id)).where(DeliveryAttempt.email == email)
    later = DeliveryAttempt.id > last, DeliveryAttempt.outcome == Outcome.SENT
    return bool(DeliveryAttempt.select().where(*later).exists())


def has_sent_between(start: datetime, end: datetime) -> bool:
    """Whether one of the newest attempts was made from `start` to `end` and ended as sent."""
    newest = (
        DeliveryAttempt.select(DeliveryAttempt.outcome, DeliveryAttempt.at)
        .order_by(DeliveryAttempt.id.desc())
        .limit(NEWEST)
    )
    return any(each.outcome is Outcome.SENT and start <= each.at <= end for each in newest)


def counts() -> dict[Outcome, int]:
    """How many attempts ever ended in each way."""
    rows: Iterable[Any] = (
        DeliveryAttempt.select(DeliveryAttempt.outcome, fn.COUNT(SQL("*")))
        .group_by(DeliveryAttempt.outcome)
        .tuples()
    )
    return dict.fromkeys(Outcome, 0) | dict(rows)

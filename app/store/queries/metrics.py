"""Counts for ops; each reads an index alone, or only the emails that wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from app.store.db.database import db
from app.store.models import OutboxEmail, OutboxStatus, TimelineEntry

# Word for word as in the partial indexes: SQLite does not use them with bound values.
_PENDING = SQL("status IN ('queued', 'sending')")
_ENDED = SQL("status IN ('sent', 'failed', 'skipped')")


def emails() -> dict[OutboxStatus, int]:
    counts = dict.fromkeys(OutboxStatus, 0)
    # Two queries: one index over all emails would have to be written at every step of each.
    for part in (_PENDING, _ENDED):
        rows: Iterable[Any] = (
            OutboxEmail.select(OutboxEmail.status, fn.COUNT(SQL("*")))
            .where(part)
            .group_by(OutboxEmail.status)
            .tuples()
        )
        counts |= dict(rows)
    return counts


def longest_waiting() -> OutboxEmail | None:
    """Only `id` and `created_at` are loaded."""
    # `due_at` would mislead: every failed attempt puts it off.
    first: OutboxEmail | None = (
        OutboxEmail.select(OutboxEmail.id, OutboxEmail.created_at)
        .where(_PENDING)
        .order_by(OutboxEmail.created_at, OutboxEmail.id)
        .first()
    )
    return first


@dataclass(frozen=True, slots=True)
class Waiting:
    """Emails that wait: to how many addresses, and since when all of them have been tried.

    `not_put_off` is the id of the oldest that no answer about its address keeps waiting.
    """

    addresses: int
    not_put_off: int | None
    all_tried_at: datetime | None


def waiting_since(before: datetime) -> Waiting:
    """Emails created before `before` that wait; of each thread only the first."""
    addresses, not_put_off, tried_at = db.execute_sql(
        f"""SELECT
          COUNT(DISTINCT CASE role
            WHEN 'client'
              THEN COALESCE('c' || COALESCE(booking.client_id, mail.client_id), mail.about)
            WHEN 'therapist' THEN 't' || COALESCE(booking.therapist_id, mail.therapist_id)
            ELSE 'ops' END),
          MIN(CASE WHEN SUBSTR(mail.last_error, 1, 10) = 'recipient:' THEN NULL ELSE mail.id END),
          MAX(mail.first_tried_at)
        FROM outbox_email AS mail LEFT JOIN booking ON booking.id = mail.booking_id
        WHERE mail.status IN ('queued', 'sending') AND mail.created_at < {db.obj.param}
          AND NOT EXISTS (
            SELECT 1 FROM outbox_email AS earlier
            WHERE earlier.thread = mail.thread AND earlier.id < mail.id
              AND earlier.status IN ('queued', 'sending'))
        """,  # noqa: S608 - our own words; the value is bound
        (OutboxEmail.created_at.db_value(before),),
    ).fetchone()
    return Waiting(addresses, not_put_off, OutboxEmail.first_tried_at.python_value(tried_at))


def moves() -> list[tuple[str, str, int]]:
    """(event, via, number of timeline entries)."""
    rows: Iterable[Any] = (
        TimelineEntry.select(TimelineEntry.event, TimelineEntry.via, fn.COUNT(SQL("*")))
        .group_by(TimelineEntry.event, TimelineEntry.via)
        .tuples()
    )
    return [(event, str(via), count) for event, via, count in rows]

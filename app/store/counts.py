"""What is counted for ops; each count reads an index alone, or the few emails that wait."""

from collections.abc import Iterable
from typing import Any

from peewee import SQL, fn

from app.store.models import OutboxEmail, OutboxStatus, TimelineEntry

# As the partial indexes have it, word for word: bound values would not let SQLite use them.
_PENDING = SQL("status IN ('queued', 'sending')")
_ENDED = SQL("status IN ('sent', 'failed', 'skipped')")


def emails() -> dict[OutboxStatus, int]:
    """How many emails stand at each point."""
    found = dict.fromkeys(OutboxStatus, 0)
    # Apart, for no index holds all of them: one that did would be written at every step.
    for part in (_PENDING, _ENDED):
        rows: Iterable[Any] = (
            OutboxEmail.select(OutboxEmail.status, fn.COUNT(SQL("*")))
            .where(part)
            .group_by(OutboxEmail.status)
            .tuples()
        )
        found |= dict(rows)
    return found


def longest_waiting() -> OutboxEmail | None:
    """The email written first of those that have not ended: its id, `created_at`, `last_error`.

    Not by when it is due: each attempt that fails puts that off.
    """
    first: OutboxEmail | None = (
        OutboxEmail.select(OutboxEmail.id, OutboxEmail.created_at, OutboxEmail.last_error)
        .where(_PENDING)
        .order_by(OutboxEmail.created_at, OutboxEmail.id)
        .first()
    )
    return first


def moves() -> list[tuple[str, str, int]]:
    """How many lines all timelines have, by what happened and through which door."""
    rows: Iterable[Any] = (
        TimelineEntry.select(TimelineEntry.event, TimelineEntry.via, fn.COUNT(SQL("*")))
        .group_by(TimelineEntry.event, TimelineEntry.via)
        .tuples()
    )
    return [(event, str(via), count) for event, via, count in rows]

"""What is counted for ops; each count reads an index alone."""

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


def moves() -> list[tuple[str, str, int]]:
    """How many lines all timelines have, by what happened and through which door."""
    rows: Iterable[Any] = (
        TimelineEntry.select(TimelineEntry.event, TimelineEntry.via, fn.COUNT(SQL("*")))
        .group_by(TimelineEntry.event, TimelineEntry.via)
        .tuples()
    )
    return [(event, str(via), count) for event, via, count in rows]

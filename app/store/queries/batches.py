"""Long lists, a batch at a time: neither rows nor a connection are held while a reader is slow."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from app.store.db import database
from app.store.db.statements import Statement

R = TypeVar("R")

_SIZE = 250


def in_batches(by_ids: Statement[R], ids: Sequence[int]) -> Iterator[R]:
    """The rows with these ids, in this order; those that have gone since are left out.

    `by_ids` finds rows by a list of ids. Each batch may be read in another thread.
    """
    for start in range(0, len(ids), _SIZE):
        batch = list(ids[start : start + _SIZE])
        # All of one length, for which the statement is compiled once.
        padded = [*batch, *batch[-1:] * (_SIZE - len(batch))]
        with database.connection():
            rows: dict[int, Any] = {row.id: row for row in by_ids.all(padded)}  # type: ignore[attr-defined]
        yield from (rows[each] for each in batch if each in rows)

"""Encrypts every stored text again, under the newest key of NOTES_KEY and in today's format."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from app.errors import NotesKeyWrong, StoredTextMoved
from app.services.ops import acts
from app.store import encryption, erasure_log
from app.store.db.database import drop_log, in_transaction
from app.store.models import TABLES, Table
from app.store.models.fields import EncryptedTextField

# Small, so that other writers wait for milliseconds.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """`unreadable`: texts that no key opens, or that were moved; they stay as they are."""

    rewritten: int = 0
    unreadable: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(self.rewritten + other.rewritten, self.unreadable + other.unreadable)


def stale_count() -> int:
    """How many texts are under an older key or in an older format."""
    fields = [(table, field) for table in TABLES for field in _encrypted(table)]
    return sum(table.select().where(_is_stale(field)).count() for table, field in fields)


def rekey(now: datetime) -> Iterator[Progress]:
    """Yields the result of each committed batch; stopped at any point, it can be run again.

    The key of the erasure log follows last. Raises ErasureLogUnusable.
    """
    acts.record("notes_rekey", now)
    for table in TABLES:
        for field in _encrypted(table):
            last: Any = None
            while True:
                last, progress = _batch(table, field, last)
                if last is None:
                    break
                yield progress
    erasure_log.rekey()
    drop_log()


@in_transaction
def _batch(table: type[Table], field: EncryptedTextField, after: Any) -> tuple[Any, Progress]:
    """The key of the last row of the batch, None if there was none."""
    key: Any = table._meta.primary_key
    is_next = _is_stale(field) if after is None else _is_stale(field) & (key > after)
    rows = list(table.select().where(is_next).order_by(key).limit(BATCH))
    unreadable = sum(not _rewrite(row, field) for row in rows)
    return getattr(rows[-1], key.name) if rows else None, Progress(
        len(rows) - unreadable, unreadable
    )


def _rewrite(row: Table, field: EncryptedTextField) -> bool:
    try:
        setattr(row, field.name, getattr(row, field.name))
    except (NotesKeyWrong, StoredTextMoved):
        return False
    row.save(only=[field.name])
    return True


def _encrypted(table: type[Table]) -> list[EncryptedTextField]:
    return [each for each in table._meta.sorted_fields if isinstance(each, EncryptedTextField)]


def _is_stale(field: EncryptedTextField) -> Any:
    prefix = encryption.current_prefix()
    return fn.SUBSTR(field, 1, len(prefix)).coerce(False) != prefix

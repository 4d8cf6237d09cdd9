"""A SQLite file as the house uses it: opened only where it is, and undone without a fuss."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import peewee

from app.store.db.errors import Unreachable

BUSY_S = 10
"""How long to wait for a writer that does not queue as we do, such as a shell."""


class SqliteFile(peewee.SqliteDatabase):
    """One file; each of its connections belongs to one thread."""

    _state: Any

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "busy_timeout": BUSY_S * 1000,
                # What a client had erased must not linger in free pages.
                "secure_delete": 1,
            },
            timeout=BUSY_S,
            lock_type="IMMEDIATE",
        )
        self.path = path
        self._may_be_made = False

    @contextmanager
    def making(self) -> Iterator[None]:
        """Let a file that is not there be made, for its owner's eyes only."""
        self._may_be_made = True
        try:
            yield
        finally:
            self._may_be_made = False

    def _connect(self) -> sqlite3.Connection:
        if self._may_be_made:
            # Its log takes after it. What hinders this hinders SQLite too, which then says so.
            with suppress(OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch(0o600, exist_ok=False)
        # SQLite would make an empty file, and hide that the true one is gone.
        elif not self.path.exists():
            advice = "is its disk there? (mindsum db upgrade begins anew)"
            raise Unreachable(f"there is no database at {self.path}: {advice}")
        opened: sqlite3.Connection = super()._connect()  # type: ignore[misc] # not in its stubs
        return opened

    def rollback(self) -> None:
        """Undo the transaction, unless SQLite has: a full disk makes it do so by itself."""
        if self._state.conn.in_transaction:
            super().rollback()

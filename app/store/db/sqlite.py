"""A SQLite file: connections that threads keep, and one writer at a time."""

import os
import sqlite3
import threading
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import peewee

from app import config
from app.store.db.errors import Unreachable
from app.store.db.fair_lock import FairLock

# How long SQLite waits for writers that do not take our lock, such as a shell.
BUSY_S = 10
# How long to wait for our lock: a commit takes milliseconds, so by then a writer hangs.
WRITE_LOCK_S = 10.0

_write_lock = FairLock()
_versions = count()


class _Kept(threading.local):
    """What one thread keeps between its uses of a SqliteFile."""

    connection: sqlite3.Connection | None = None
    # Which file it has open, in which process: (process, device, inode).
    file: tuple[int, int, int] | None = None
    # Whether every statement since it was opened was free of faults.
    is_sound = True
    # The connection, and its counts of changes, when it last looked.
    seen: tuple[sqlite3.Connection, int, int] | None = None


class SqliteFile(peewee.SqliteDatabase):
    """Each thread keeps its connection, as long as the path leads to the same file."""

    _state: Any

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "busy_timeout": BUSY_S * 1000,
                # What is erased for a client must not stay in free pages.
                "secure_delete": 1,
            },
            timeout=BUSY_S,
            lock_type="IMMEDIATE",
        )
        self.path = path
        self._may_create = False
        self._kept = _Kept()
        self._version = next(_versions)

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Create the file if it is missing, readable by its owner only."""
        self._may_create = True
        try:
            yield
        finally:
            self._may_create = False

    def _connect(self) -> sqlite3.Connection:
        if self._may_create:
            # SQLite gives the log the same mode, and reports whatever fails here.
            with suppress(OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch(0o600, exist_ok=False)
        file = self._file()
        if self._kept.connection is not None and self._kept.file == file:
            return self._kept.connection
        self._drop_kept()
        connection: sqlite3.Connection = super()._connect()  # type: ignore[misc] # not in its stubs
        self._kept.file, self._kept.is_sound = file, True
        return connection

    def _file(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            # SQLite would create an empty file and hide that the real one is gone.
            command = config.current().command
            advice = f"is its disk mounted? ({command} db upgrade creates a new one)"
            raise Unreachable(f"there is no database at {self.path}: {advice}") from None
        except OSError:
            return None  # SQLite reports it
        return os.getpid(), found.st_dev, found.st_ino

    def _close(self, connection: sqlite3.Connection) -> None:
        if self._kept.is_sound and self._kept.file is not None:
            self._kept.connection = connection
        else:
            self._kept.connection = None
            connection.close()

    def version(self) -> Hashable:
        """See `database.version`; numbers of this process."""
        connection: sqlite3.Connection = self._state.conn
        # It counts what other connections committed, this one's own are in `total_changes`.
        (by_others,) = self.execute_sql("PRAGMA data_version").fetchone()
        seen = connection, by_others, connection.total_changes
        if seen != self._kept.seen:
            self._kept.seen, self._version = seen, next(_versions)
        return self._version

    def release(self) -> None:
        """Close this thread's connection."""
        self.close()
        self._drop_kept()

    def _drop_kept(self) -> None:
        kept, self._kept.connection = self._kept.connection, None
        if kept is not None:
            kept.close()

    # A faulty connection is replaced: SQLite would stay read-only after a disk was.
    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except peewee.IntegrityError:
            raise
        except peewee.DatabaseError:
            self._kept.is_sound = False
            raise

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        with self._watched():
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call] # not in its stubs

    def begin(self, lock_type: str | None = None) -> None:
        with self._watched():
            super().begin(lock_type)

    def commit(self) -> None:
        with self._watched():
            super().commit()

    def rollback(self) -> None:
        # On a full disk SQLite rolls back by itself.
        if self._state.conn.in_transaction:
            super().rollback()


def lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def write_lock(path: Path) -> AbstractContextManager[None]:
    """Raises StoreUnavailable after WRITE_LOCK_S."""
    # Under SQLite's own busy handler some writers wait for seconds.
    return _write_lock.held(lock_file(path), WRITE_LOCK_S)

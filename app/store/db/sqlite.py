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


class _Counter:
    """Counts the commits to a file; threads share it."""

    def __init__(self, path: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=rw"
        self._guard = threading.Lock()
        # It never writes, so it counts what all other connections commit.
        self._connection: sqlite3.Connection | None = None
        self._file: Hashable = None
        self._opened = 0

    def count(self, file: Hashable) -> Hashable:
        """Another value after each commit, and never again the same. Raises sqlite3.Error."""
        with self._guard:
            if self._connection is None or self._file != file:
                self._close()
                self._connection = sqlite3.connect(
                    self._uri, uri=True, timeout=BUSY_S, check_same_thread=False
                )
                # SQLite counts from the beginning for each connection.
                self._file, self._opened = file, next(_versions)
            try:
                [(count,)] = self._connection.execute("PRAGMA data_version")
            except sqlite3.Error:
                self._close()
                raise
            return self._opened, count

    def close(self) -> None:
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


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
        self._counter = _Counter(path)

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
        """See `database.version`; the same for all threads of this process."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined] # not in its stubs
            return self._counter.count(self._file())

    def release(self) -> None:
        """Close this thread's connection, and the one that counts."""
        self.close()
        self._drop_kept()
        self._counter.close()

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

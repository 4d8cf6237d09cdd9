"""The database of DATABASE_URL: connecting, one kind of transaction, schema upgrades."""

import fcntl
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import peewee
from playhouse.migrations import Runner
from playhouse.pool import PooledPostgresqlDatabase

from app.errors import StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")

db = peewee.DatabaseProxy()

MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 7_114_205_001
_TRIES = 5
# 40001 serialization failure, 40P01 deadlock: the server rolled everything back, so again is safe.
_SAFE_TO_REPEAT = {"40001", "40P01"}

_log = logging.getLogger(__name__)
_writer = threading.Lock()
_pending = threading.local()
_sqlite_file: Path | None = None


def bind(url: str) -> None:
    """Point every model at the database of `url`; nothing is opened yet."""
    global _sqlite_file  # noqa: PLW0603 - a process has one database
    release()
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        _sqlite_file = path
        db.initialize(
            peewee.SqliteDatabase(
                str(path),
                pragmas={
                    "journal_mode": "wal",
                    "synchronous": "full",
                    "foreign_keys": 1,
                    "busy_timeout": 10_000,
                    # What a client had erased must not linger in free pages.
                    "secure_delete": 1,
                },
                timeout=10,
                lock_type="IMMEDIATE",
            )
        )
    else:
        _sqlite_file = None
        db.initialize(
            PooledPostgresqlDatabase(
                url, prefer_psycopg3=True, max_connections=32, stale_timeout=300, timeout=10
            )
        )


def release() -> None:
    """Close what the pool keeps open."""
    if isinstance(db.obj, PooledPostgresqlDatabase):
        db.obj.close_all()


def is_sqlite() -> bool:
    """Whether the bound database is SQLite."""
    return isinstance(db.obj, peewee.SqliteDatabase)


@contextmanager
def connection() -> Iterator[None]:
    """Hold one connection for a request, a job or a command; nested uses share it.

    Raises StoreUnavailable where the database does not answer.
    """
    if not db.is_closed():
        yield
        return
    try:
        db.connect()
    except peewee.DatabaseError as error:
        raise StoreUnavailable(str(error).splitlines()[0]) from error
    try:
        yield
    finally:
        db.close()


@contextmanager
def alone_in_writing(path: Path) -> Iterator[None]:
    """Queue for the write lock of a SQLite file; its own busy handler starves some for seconds."""
    with _writer, _lock_file_of(path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


@contextmanager
def _alone_in_writing() -> Iterator[None]:
    if _sqlite_file is None:
        yield
        return
    with alone_in_writing(_sqlite_file):
        yield


@contextmanager
def _transaction() -> Iterator[None]:
    with _alone_in_writing(), db.atomic():
        yield


def _may_repeat(error: peewee.PeeweeException) -> bool:
    """Whether the database undid everything and the same work may simply be done again."""
    # peewee raises its own error while it handles the driver's, which knows the reason.
    driver_error = error.__cause__ or error.__context__
    return getattr(driver_error, "sqlstate", None) in _SAFE_TO_REPEAT


def in_transaction(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a use case: all of what it writes is there, or none; inside another, it joins it.

    Serialization failures and deadlocks are tried again; other database faults raise
    StoreUnavailable, with nothing written. IntegrityError passes through for the caller to name.
    """

    @wraps(work)
    def transacted(*args: P.args, **kwargs: P.kwargs) -> R:
        if db.in_transaction():
            return work(*args, **kwargs)
        for attempt in range(_TRIES):
            try:
                with connection():
                    return _committed(lambda: work(*args, **kwargs))
            except peewee.IntegrityError:
                raise
            except (peewee.OperationalError, peewee.InterfaceError) as error:
                if attempt == _TRIES - 1 or not _may_repeat(error):
                    raise StoreUnavailable(str(error).splitlines()[0]) from error
                _log.warning("transaction repeated after %s", type(error).__name__)
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    return transacted


def _committed(work: Callable[[], R]) -> R:
    _pending.acts = []
    with _transaction():
        result = work()
    # Only now, when nobody waits for the write lock any more: a slow log must hold up no one.
    for act in _pending.acts:
        act()
    return result


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything as it was at one instant, whatever is written meanwhile."""
    isolation = "DEFERRED" if is_sqlite() else "REPEATABLE READ"
    with connection(), db.atomic(isolation):
        yield


def on_commit(act: Callable[[], object]) -> None:
    """Do `act` once the surrounding transaction has committed; never if it rolls back."""
    if db.in_transaction():
        _pending.acts.append(act)
    else:
        act()


def drop_log() -> None:
    """Empty SQLite's write-ahead log, where what was erased would linger until it is reused."""
    if is_sqlite():
        db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _runner() -> Runner:
    return Runner(db.obj, str(MIGRATIONS))


def upgrade() -> list[str]:
    """Bring the schema up to date; returns the steps applied. Safe twice and at once."""
    with connection():
        if is_sqlite():
            with _alone_in_writing():
                return list(_runner().up())
        db.execute_sql("SELECT pg_advisory_lock(%s)", (_UPGRADE_LOCK,))
        try:
            return list(_runner().up())
        finally:
            db.execute_sql("SELECT pg_advisory_unlock(%s)", (_UPGRADE_LOCK,))


def upgrade_file(other: peewee.SqliteDatabase) -> list[str]:
    """Bring a file's schema up to date that nobody else has open; returns the steps applied.

    Raises ValueError where the file had steps that this version of ours does not know.
    """
    runner = Runner(other, str(MIGRATIONS))
    unknown = [step.name for step in runner.status() if not step.path]
    if unknown:
        raise ValueError(f"its schema is of a newer version ({', '.join(unknown)})")
    return list(runner.up())


def pending_upgrades() -> list[str]:
    """The names of schema steps that this database has not had yet."""
    with connection():
        return [step.name for step in _runner().status() if step.path and not step.applied]

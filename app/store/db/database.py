"""The database of DATABASE_URL: connecting, one kind of transaction, schema upgrades."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import peewee
from playhouse.migrations import Migration, Runner

from app.errors import OutcomeUnknown, StoreUnavailable
from app.store.db import errors
from app.store.db.postgresql import PostgresqlServer
from app.store.db.sqlite import SqliteFile
from app.store.db.write_lock import alone_in_writing

__all__ = ["alone_in_writing"]

P = ParamSpec("P")
R = TypeVar("R")

db = peewee.DatabaseProxy()

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_UPGRADE_LOCK = 7_114_205_001
_TRIES = 5

_log = logging.getLogger(__name__)
_pending = threading.local()


def bind(url: str) -> None:
    """Point every model at the database of `url`; nothing is opened yet."""
    release()
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        db.initialize(SqliteFile(path))
    else:
        db.initialize(PostgresqlServer(url))


def release() -> None:
    """Close what is kept open."""
    if isinstance(db.obj, PostgresqlServer):
        db.obj.close_all()


def is_sqlite() -> bool:
    """Whether the bound database is SQLite."""
    return isinstance(db.obj, peewee.SqliteDatabase)


@contextmanager
def connection() -> Iterator[None]:
    """Hold one connection for a request, a job or a command; nested uses share it.

    Raises StoreUnavailable where the database does not answer, at first or while it is held.
    """
    if not db.is_closed():
        yield
        return
    try:
        db.connect()
    except errors.DATABASE_ERRORS as error:
        raise StoreUnavailable(errors.reason(error)) from error
    try:
        yield
    except errors.DATABASE_ERRORS as error:
        if not errors.is_environmental(error):
            raise
        raise StoreUnavailable(errors.reason(error)) from error
    finally:
        db.close()


@contextmanager
def _alone_in_writing() -> Iterator[None]:
    with alone_in_writing(db.obj.path) if is_sqlite() else nullcontext():
        yield


@contextmanager
def _transaction() -> Iterator[None]:
    with _alone_in_writing(), db.atomic():
        yield


def in_transaction(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a use case: all of what it writes is there, or none; inside another, it joins it.

    What the database undid by itself (a deadlock, a connection lost before the commit) is done
    again, so `work` may change no object of its caller's. Other faults of the environment raise
    StoreUnavailable, with nothing written, or OutcomeUnknown where only the commit's answer was
    lost. IntegrityError passes through for the caller to name.
    """

    @wraps(work)
    def transacted(*args: P.args, **kwargs: P.kwargs) -> R:
        if db.in_transaction():
            return work(*args, **kwargs)
        with connection():
            result = _committed(lambda: work(*args, **kwargs))
            # Only now, when nobody waits for the write lock any more: a slow log holds up no one.
            for act in _pending.acts:
                act()
        return result

    return transacted


def _committed(work: Callable[[], R]) -> R:
    for attempt in range(_TRIES):
        _pending.acts = []
        try:
            with _transaction():
                return work()
        except errors.DATABASE_ERRORS as error:
            if not errors.is_environmental(error):
                raise
            why = errors.reason(error)
            if isinstance(error, errors.CommitUnknown):
                raise OutcomeUnknown(why) from error
            if attempt == _TRIES - 1 or not errors.is_rolled_back(error):
                raise StoreUnavailable(why) from error
            _log.warning("transaction repeated after %s", type(error).__name__)
        time.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise AssertionError("unreachable: the last attempt returns or raises")


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
    if not is_sqlite():
        return
    try:
        db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except peewee.OperationalError as error:
        # What was to be done is committed; the log is emptied when SQLite next gets to it.
        _log.warning("write-ahead log not emptied: %s", errors.reason(error))


def _runner() -> Runner:
    return Runner(db.obj, str(MIGRATIONS))


def upgrade() -> list[str]:
    """Bring the schema up to date; returns the steps applied. Safe twice and at once."""
    if isinstance(db.obj, SqliteFile):
        with db.obj.making(), connection(), _alone_in_writing():
            return list(_runner().up())
    # One transaction for all steps, whose end releases the lock, for which it waits without limits
    # of ours: a lock of the session would stay on a connection that PgBouncer gives to others.
    with connection(), db.obj.pinned(), db.atomic("READ COMMITTED"):
        db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))
        db.obj.limit()
        return list(_runner().up())


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
    """The names of schema steps that this database has not had yet; cheap enough for each run."""
    steps = [step.name for step in Migration.load_directory(str(MIGRATIONS))]
    with connection():
        if not db.table_exists("schema_migration"):
            return steps
        had = {name for (name,) in db.execute_sql("SELECT name FROM schema_migration").fetchall()}
    return [step for step in steps if step not in had]

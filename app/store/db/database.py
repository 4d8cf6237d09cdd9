"""The database of DATABASE_URL: connecting, one kind of transaction, schema upgrades."""

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import peewee
from playhouse.migrations import Migration, Runner

from app import config
from app.errors import OutcomeUnknown, StoreUnavailable
from app.store.db import errors
from app.store.db.shared_read import SharedRead
from app.store.db.sqlite import SqliteFile, write_lock

P = ParamSpec("P")
R = TypeVar("R")

db = peewee.DatabaseProxy()

MIGRATIONS = Path(__file__).parents[1] / "migrations"
# The key of PostgreSQL's advisory lock: one process upgrades, others wait.
_UPGRADE_LOCK = 7_114_205_001
# How often work that the database rolled back by itself is run.
_TRIES = 5

_log = logging.getLogger(__name__)
_pending = threading.local()


def bind(url: str) -> None:
    """Use the database of `url` for every model; it is opened by the first `connection`."""
    release()
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        db.initialize(SqliteFile(path))
    else:
        # Imported on demand: its driver is a fifth of a web worker's memory.
        from app.store.db.postgresql import PostgresqlServer  # noqa: PLC0415

        db.initialize(PostgresqlServer(url))


@contextmanager
def using_file(path: Path) -> Iterator[None]:
    """In the block every model of this process is in another SQLite file."""
    before = db.obj
    db.initialize(SqliteFile(path))
    try:
        with connection():
            yield
    finally:
        release()
        db.initialize(before)


def release() -> None:
    """Close idle connections: PostgreSQL's of all threads, SQLite's of this thread."""
    if db.obj is not None:
        db.obj.release()


def version() -> Hashable:
    """What was read after it is still so while it stays equal; every commit makes another one."""
    # On PostgreSQL it costs a connection and a round trip, so callers share one.
    return db.obj.version() if is_sqlite() else _shared_version.get()


def _connected_version() -> Hashable:
    with connection():
        return db.obj.version()  # type: ignore[no-any-return]


_shared_version = SharedRead(_connected_version)


def is_sqlite() -> bool:
    return isinstance(db.obj, peewee.SqliteDatabase)


@contextmanager
def connection() -> Iterator[None]:
    """Nested uses share it. Raises StoreUnavailable at first or later in the block."""
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
def _transaction() -> Iterator[None]:
    with write_lock(db.obj.path) if is_sqlite() else nullcontext(), db.atomic():
        yield


def in_transaction(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a use case: it commits all that it writes, or nothing. Nested ones join the outer.

    `work` is run again if the database rolled it back by itself (a deadlock, a connection lost
    before the commit), so it must not change its caller's objects. Raises StoreUnavailable for
    other faults of the environment, with nothing written, and OutcomeUnknown if the connection
    was lost while committing. IntegrityError passes through; see `errors.violated`.
    """

    @wraps(work)
    def transacted(*args: P.args, **kwargs: P.kwargs) -> R:
        if db.in_transaction():
            return work(*args, **kwargs)
        with connection():
            result = _committed(lambda: work(*args, **kwargs))
            # After the write lock is released, so that a slow log does not delay other writers.
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
            reason = errors.reason(error)
            if isinstance(error, errors.CommitUnknown):
                raise OutcomeUnknown(reason) from error
            if attempt == _TRIES - 1 or not errors.is_rolled_back(error):
                raise StoreUnavailable(reason) from error
            _log.warning("transaction repeated after %s", type(error).__name__)
        time.sleep(random.uniform(0, 0.02 * 2**attempt))
    raise AssertionError("unreachable: the last attempt returns or raises")


@contextmanager
def savepoint() -> Iterator[None]:
    """Inside a transaction: if the block raises, undo its writes and forget its `on_commit`s."""
    registered = len(_pending.acts)
    try:
        with db.atomic():
            yield
    except BaseException:
        del _pending.acts[registered:]
        raise


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything as of one instant, without other transactions' later writes."""
    isolation = "DEFERRED" if is_sqlite() else "REPEATABLE READ"
    with connection(), db.atomic(isolation):
        yield


def on_commit(act: Callable[[], object]) -> None:
    """Call `act` after the surrounding transaction commits; not if it rolls back."""
    if db.in_transaction():
        _pending.acts.append(act)
    else:
        act()


def drop_log() -> None:
    # The write-ahead log would keep erased data until it is overwritten.
    if not is_sqlite():
        return
    try:
        db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except peewee.OperationalError as error:
        # The erasure is committed; SQLite empties the log at a later checkpoint.
        _log.warning("write-ahead log not emptied: %s", errors.reason(error))


def _runner() -> Runner:
    return Runner(db.obj, str(MIGRATIONS))


def upgrade() -> list[str]:
    """Bring the schema up to date; returns the steps applied. Several processes may call it."""
    if isinstance(db.obj, SqliteFile):
        with db.obj.creating(), connection(), write_lock(db.obj.path):
            return list(_runner().up())
    # One transaction for all steps, whose end releases the lock: a lock of the session would stay
    # on a connection that PgBouncer gives to others. Waiting for the lock has no time limit.
    with connection(), db.obj.without_limits(), db.atomic("READ COMMITTED"):
        db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))
        db.obj.limit()
        return list(_runner().up())


def upgrade_file(other: peewee.SqliteDatabase) -> list[str]:
    """For a file that nothing else has open. Raises ValueError if it has steps unknown to us."""
    runner = Runner(other, str(MIGRATIONS))
    unknown = [step.name for step in runner.status() if not step.path]
    if unknown:
        raise ValueError(f"its schema is of a newer version ({', '.join(unknown)})")
    return list(runner.up())


def pending_upgrades() -> list[str]:
    """The names of schema steps that are not applied yet."""
    applied = _applied_steps()
    return [step for step in _known_steps() if step not in applied]


def schema_fault() -> str | None:
    """What keeps this code from working with the schema; cheap enough for every job run."""
    applied, known = _applied_steps(), _known_steps()
    if unknown := sorted(applied.difference(known)):
        return f"is of a newer release ({', '.join(unknown)}): install that, or restore a backup"
    if applied.issuperset(known):
        return None
    return f"waits for upgrades: {config.current().command} db upgrade"


def _known_steps() -> list[str]:
    return [step.name for step in Migration.load_directory(str(MIGRATIONS))]


def _applied_steps() -> set[str]:
    with connection():
        if not db.table_exists("schema_migration"):
            return set()
        rows = db.execute_sql("SELECT name FROM schema_migration").fetchall()
    return {name for (name,) in rows}

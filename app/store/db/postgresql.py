"""PostgreSQL: a pool of connections, limits on waiting, and what happens when one is lost."""

import select
import time
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import peewee
import psycopg
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from app.store.db import errors
from app.store.db.errors import CommitUnknown, ConnectionLost, Unreachable, reason

R = TypeVar("R")

errors.DATABASE_ERRORS = (*errors.DATABASE_ERRORS[:2], psycopg.Error)
errors.DRIVER_FAULTS = (psycopg.OperationalError,)

# Connections of one process: a web process has 8 threads, a scheduler a few more.
MAX_CONNECTIONS = 32
# Seconds to wait for a free connection.
POOL_WAIT_S = 10.0
# Age at which a connection is closed when it comes back, so that a crowd's connections go away.
MAX_AGE_S = 300
# Seconds without an answer to a statement; our slowest takes one or two.
SILENCE_S = 20.0

# libpq's parameters unless DATABASE_URL sets them.
CONNECT_PARAMETERS = {
    "connect_timeout": 5,
    # A machine that is gone does not answer: probe after 15 s, give up 15 s later.
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "mindsum",
}

LIMITS = {
    # Every lock of ours is held for milliseconds.
    "lock_timeout": "10s",
    # Our transactions never pause, so after that long the process was stopped or is gone.
    "idle_in_transaction_session_timeout": "15s",
}


class ServerSilent(psycopg.OperationalError):
    """The server did not answer a statement within SILENCE_S."""


class Connection(psycopg.Connection[Any]):
    has_limit = True

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        if not self.has_limit or timeout is not None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, SILENCE_S)
        except psycopg.OperationalError as error:
            if time.monotonic() - began < SILENCE_S:
                raise
            self.close()
            raise ServerSilent(f"the server has not answered for {SILENCE_S:g} s") from error

    def has_hung_up(self) -> bool:
        """Whether the server closed it, as far as this machine knows without a round trip."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        # Unsolicited data usually means that the server closed the connection.
        return bool(poll.poll(0))

    def is_ended_by(self, error: BaseException | None) -> bool:
        """Whether `error` ended the connection, which is then closed."""
        diagnosis = getattr(error, "diag", None)
        if diagnosis is not None and diagnosis.severity_nonlocalized in ("FATAL", "PANIC"):
            self.close()
        return bool(self.closed)


class _Adapter(peewee.Psycopg3Adapter):
    # peewee may have been imported without the driver, and then lacks these.
    txn_idle = TransactionStatus.IDLE
    txn_inerror = TransactionStatus.INERROR
    txn_unknown = TransactionStatus.UNKNOWN

    def check_driver(self) -> None:
        """It is there."""

    def get_binary_type(self) -> Any:
        return psycopg.Binary

    def connect(self, db: Any, **parameters: Any) -> Connection:
        return Connection.connect(
            db.database,
            autocommit=True,
            # PgBouncer may run each transaction in another session, where a prepared statement's
            # name is unknown or means another statement: a SELECT was seen to run a DELETE.
            prepare_threshold=None,
            **parameters,
        )


class PostgresqlServer(PooledPostgresqlDatabase):
    """Raises ConnectionLost (nothing was committed) or CommitUnknown."""

    # A read outside a transaction is repeated if its connection is lost.

    psycopg2_adapter = psycopg3_adapter = _Adapter
    _state: Any

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            # The first connection reports what is wrong with it.
            given = {}
        options = str(given.get("options", ""))
        self._limits = [
            f"SET LOCAL {name} = '{value}'" for name, value in LIMITS.items() if name not in options
        ]
        self._is_released = False
        self._failed_at, self._failure = 0.0, ""
        super().__init__(
            url,
            prefer_psycopg3=True,
            max_connections=MAX_CONNECTIONS,
            timeout=POOL_WAIT_S,
            stale_timeout=MAX_AGE_S,
            **{name: value for name, value in CONNECT_PARAMETERS.items() if name not in given},
        )

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Give this thread a connection; False if it had one. Raises Unreachable."""
        self._state.asked_at = time.monotonic()
        try:
            return bool(super().connect(reuse_if_open))
        except MaxConnectionsExceeded as error:
            busy = f"all {MAX_CONNECTIONS} connections have been in use for {POOL_WAIT_S:g} s"
            raise Unreachable(busy) from error

    def _connect(self) -> Connection:
        # peewee connects under a lock: threads that waited while an attempt failed share its
        # failure, or each in turn would wait for connect_timeout.
        if self._state.asked_at < self._failed_at:
            raise psycopg.OperationalError(self._failure)
        try:
            connection: Connection = super()._connect()
        except psycopg.Error as error:
            self._failed_at, self._failure = time.monotonic(), reason(error)
            raise
        return connection

    # The pool would ask the server at each checkout, under its lock: a hung one would stop all.
    def _is_closed(self, conn: Connection) -> bool:
        has_hung_up = conn.has_hung_up()
        if has_hung_up:
            conn.close()  # the pool forgets it
        return has_hung_up

    def _can_reuse(self, conn: Connection) -> bool:
        return not self._is_released and bool(super()._can_reuse(conn))

    def version(self) -> Hashable:
        """See `database.version`: which transactions a read sees."""
        (snapshot,) = self.execute_sql("SELECT pg_current_snapshot()::text").fetchone()
        return self.database, snapshot

    def release(self) -> None:
        self.close()
        self._is_released = True
        self.close_idle()

    def notify(self, channel: str) -> None:
        """Outside of transactions: a NOTIFY within one holds up the commits of others."""
        held: Connection = self.connection()
        held.execute(f"NOTIFY {channel}", prepare=False)

    @contextmanager
    def listening(self, channel: str) -> Iterator[Connection | None]:
        """A connection of its own that hears NOTIFY; None through a pooler, which hears nothing.

        Raises psycopg.Error.
        """
        # Not the pool's.
        unpooled: Any = peewee.PostgresqlDatabase
        with closing(unpooled._connect(self)) as connection:
            connection.has_limit = False
            [(backend,)] = connection.execute("SELECT pg_backend_pid()").fetchall()
            if backend != connection.info.backend_pid:
                # PgBouncer tells its clients another number.
                yield None
                return
            connection.execute(f"LISTEN {channel}")
            yield connection

    @contextmanager
    def without_limits(self) -> Iterator[None]:
        # A schema step may take long.
        held: Connection = self._state.conn
        held.has_limit = False
        try:
            yield
        finally:
            held.has_limit = True

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        if self.in_transaction():
            return self._execute(sql, params)
        self._drop_dead()
        try:
            return self._execute(sql, params)
        except ConnectionLost:
            if not sql.startswith("SELECT"):
                raise CommitUnknown("the connection was lost while writing") from None
            self._drop_dead()
            return self._execute(sql, params)

    def _execute(self, sql: str, params: Any) -> Any:
        try:
            return super().execute_sql(sql, params)
        except peewee.DatabaseError as error:
            self._raise_if_lost(error)
            raise

    def _raise_if_lost(self, error: peewee.DatabaseError) -> None:
        driver_error = getattr(error, "orig", None)
        if self.is_closed() or isinstance(driver_error, ServerSilent):
            return
        if self._state.conn.is_ended_by(driver_error):
            raise ConnectionLost(reason(error)) from error

    def _drop_dead(self) -> None:
        # peewee connects again when this thread's state has no connection.
        if not self.is_closed() and self._state.conn.has_hung_up():
            self.manual_close()

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin a transaction, with LIMITS unless an isolation level is given."""
        self._drop_dead()
        if isolation_level is not None:
            self._command(f"BEGIN TRANSACTION ISOLATION LEVEL {isolation_level}")
        else:
            # In the transaction, because PgBouncer refuses startup options.
            self._command("; ".join(["BEGIN", *self._limits]))

    def limit(self) -> None:
        for sql in self._limits:
            self._command(sql)

    def commit(self) -> None:
        """Commit on the connection of the BEGIN. Raises ConnectionLost or CommitUnknown."""
        held: Connection = self._state.conn
        if held is None or held.has_hung_up():
            raise ConnectionLost("the connection was lost before the commit")
        try:
            tag = self._command("COMMIT")
        except peewee.OperationalError as error:
            if held.closed:
                raise CommitUnknown("the connection was lost while committing") from error
            raise
        # A COMMIT after a failed statement rolls back without an error.
        if tag != "COMMIT":
            raise peewee.InternalError("a statement had failed, so nothing was committed")

    def rollback(self) -> None:
        """Undo the transaction, by closing the connection if nothing else works."""
        if self.is_closed():
            return
        try:
            self._command("ROLLBACK")
        except peewee.PeeweeException:
            self._state.conn.close()

    def _command(self, sql: str) -> str | None:
        """Execute SQL without parameters; returns the server's command tag."""
        held: Connection = self.connection()
        try:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined] # not in its stubs
                # Several statements in one string cannot be prepared.
                return held.execute(sql, prepare=False).statusmessage
        except peewee.DatabaseError as error:
            self._raise_if_lost(error)
            raise

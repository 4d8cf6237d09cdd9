"""A PostgreSQL server as the house uses it: connections kept, looked at and limited in time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peewee
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from app.store.db.errors import CommitUnknown, ConnectionLost, ServerSilent, Unreachable, reason
from app.store.db.pg_connection import Connection

MOST = 32
"""Connections of one process; a web process has 8 threads, a scheduler a few more."""
PLACE_WAIT_S = 10.0
"""How long to wait for one of them to come free."""
KEPT_IDLE_S = 300.0

CONNECTING = {
    "connect_timeout": 5,
    # A machine that is gone says nothing: ask after 15 s, give up 15 s later.
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "mindsum",
}
"""What libpq is told unless DATABASE_URL says otherwise."""

LOCK_LIMIT_S = 10
"""How long to wait for a row; every lock is held for milliseconds."""
IDLE_LIMIT_S = 15
"""A transaction of ours never pauses: after that long its process is stopped or gone."""
LIMITS = {
    "lock_timeout": f"{LOCK_LIMIT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_LIMIT_S}s",
}


class PostgresqlServer(peewee.PostgresqlDatabase):
    """A pool of connections; each is one thread's from `connect` to `close`.

    One that dies outside a transaction is replaced unnoticed, if only reading was under way. Of
    one that dies within, ConnectionLost tells, or CommitUnknown where its end cannot be told.
    """

    _state: Any

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            # What is wrong with it is told when it is first connected to.
            given = {}
        own: dict[str, Any] = {
            name: value for name, value in CONNECTING.items() if name not in given
        }
        super().__init__(url, prefer_psycopg3=True, **own)
        options = str(given.get("options", ""))
        self._limits = [
            f"SET LOCAL {name} = '{value}'" for name, value in LIMITS.items() if name not in options
        ]
        self._places = threading.BoundedSemaphore(MOST)
        self._idle: list[tuple[float, Connection]] = []
        self._guard = threading.Lock()
        self._is_kept = True

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Give this thread a connection that answers; whether it had none. Raises Unreachable."""
        if not self.is_closed():
            if reuse_if_open:
                return False
            raise peewee.OperationalError("Connection already opened.")
        if not self._places.acquire(timeout=PLACE_WAIT_S):
            raise Unreachable(f"all {MOST} connections have been in use for {PLACE_WAIT_S:g} s")
        try:
            self._hold(self._kept() or self._connect())
        except BaseException:
            self._places.release()
            raise
        return True

    def _hold(self, taken: Connection) -> None:
        self._state.set_connection(taken)
        self.server_version = taken.info.server_version

    def _connect(self) -> Connection:
        try:
            return Connection.connect(
                self.database,
                autocommit=True,
                # PgBouncer may give each transaction another session, where the same name is
                # nobody's statement, or another's: a SELECT was seen to run somebody's DELETE.
                prepare_threshold=None,
                **self.connect_params,
            )
        except psycopg.Error as error:
            raise Unreachable(reason(error)) from error

    def _kept(self) -> Connection | None:
        """One that idled and still lives: the last one used, so that the others can go."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                since, kept = self._idle.pop()
            if not kept.is_dead(time.monotonic() - since):
                return kept
            kept.close()

    def _close(self, conn: Connection) -> None:
        try:
            is_clean = conn.info.transaction_status == TransactionStatus.IDLE
            if is_clean and self._is_kept:
                self._keep(conn)
            else:
                conn.close()
        finally:
            self._places.release()

    def _keep(self, conn: Connection) -> None:
        now = time.monotonic()
        with self._guard:
            self._idle.append((now, conn))
            is_spare = now - self._idle[0][0] > KEPT_IDLE_S
            spare = self._idle.pop(0)[1] if is_spare else None
        if spare is not None:
            spare.close()

    def close_all(self) -> None:
        """Close what is kept, and from now on each connection when its thread is done with it."""
        self.close()
        self._is_kept = False
        with self._guard:
            idle, self._idle = self._idle, []
        for _, kept in idle:
            kept.close()

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Keep this thread's connection, however long a statement takes; a lock hangs on it."""
        held: Connection = self._state.conn
        held.is_pinned = True
        try:
            yield
        finally:
            held.is_pinned = False

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement; one that only reads, outside a transaction, twice if need be."""
        if self.in_transaction():
            return self._execute_once(sql, params)
        self._revive()
        try:
            return self._execute_once(sql, params)
        except ConnectionLost:
            if self._state.conn.is_pinned:
                raise
            if not sql.startswith("SELECT"):
                raise CommitUnknown("the connection was lost while writing") from None
            self._replace()
            return self._execute_once(sql, params)

    def _execute_once(self, sql: str, params: Any) -> Any:
        try:
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call] # not in its stubs
        except peewee.DatabaseError as error:
            self._tell_if_lost(error)
            raise

    def _tell_if_lost(self, error: peewee.DatabaseError) -> None:
        driver_error = getattr(error, "orig", None)
        if self.is_closed() or isinstance(driver_error, ServerSilent):
            return
        if self._state.conn.has_ended(driver_error):
            raise ConnectionLost(reason(error)) from error

    def _revive(self) -> None:
        """See to it that this thread has a connection that lives."""
        if self.is_closed():
            self.connect()
        elif self._state.conn.is_dead() and not self._state.conn.is_pinned:
            self._replace()

    def _replace(self) -> None:
        """Another connection in the place of the dead one."""
        self._state.conn.close()
        try:
            self._hold(self._connect())
        except BaseException:
            self._state.reset()
            self._places.release()
            raise

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin a transaction, with limits to its waiting unless it only reads a snapshot."""
        if isolation_level is not None:
            self.execute_sql(f"BEGIN TRANSACTION ISOLATION LEVEL {isolation_level}")
            return
        self._revive()
        # With the BEGIN, and not as startup options: PgBouncer refuses those.
        self._command("; ".join(["BEGIN", *self._limits]))

    def limit(self) -> None:
        """Have a transaction that began without limits go on with those of all others."""
        for sql in self._limits:
            self._command(sql)

    def commit(self) -> None:
        """Commit on the connection of the BEGIN. Raises ConnectionLost or CommitUnknown."""
        held: Connection = self._state.conn
        if held is None or held.is_dead():
            raise ConnectionLost("the connection was lost before the commit")
        try:
            tag = self._command("COMMIT")
        except peewee.OperationalError as error:
            if held.closed:
                raise CommitUnknown("the connection was lost while committing") from error
            raise
        if tag != "COMMIT":
            raise peewee.InternalError("a statement had failed, so nothing was committed")

    def rollback(self) -> None:
        """Undo the transaction; where that cannot be said, the end of the connection does it."""
        if self.is_closed():
            return
        try:
            self._command("ROLLBACK")
        except peewee.PeeweeException:
            self._state.conn.close()

    def _command(self, sql: str) -> str | None:
        """Execute words of ours without parameters; what the server says was done."""
        held: Connection = self._state.conn
        try:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined] # not in its stubs
                # Several statements in one cannot be prepared.
                return held.execute(sql, prepare=False).statusmessage
        except peewee.DatabaseError as error:
            self._tell_if_lost(error)
            raise

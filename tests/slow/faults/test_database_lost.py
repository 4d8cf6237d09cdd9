"""PostgreSQL goes away, hangs or refuses: work is repeated if that is safe, and reported if not."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import peewee
import psycopg
import pytest
from flask import Flask
from playhouse.pool import PooledPostgresqlDatabase

from app.errors import OutcomeUnknown, StoreUnavailable
from app.store.db import database, errors, postgresql
from app.store.db.database import db, in_transaction, on_commit
from app.store.models import Therapist
from tests.harness.postgresql_server import end_backends, execute
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import Cast

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def own_pid() -> int:
    return int(db.execute_sql("SELECT pg_backend_pid()").fetchone()[0])


def headline() -> str:
    return str(Therapist.get(Therapist.slug == "asha").headline)


def rename(words: str) -> None:
    Therapist.update(headline=words).where(Therapist.slug == "asha").execute()


@pytest.mark.parametrize("moment", ["before its first statement", "between two", "before commit"])
def test_work_is_run_again_if_the_connection_was_lost_before_the_commit(
    cast: Cast, database_url: str, moment: str
) -> None:
    tries: list[str] = []
    committed: list[str] = []

    @in_transaction
    def work() -> str:
        tries.append("try")
        on_commit(lambda: committed.append("done"))
        is_first = len(tries) == 1
        if is_first and moment == "before its first statement":
            end_backends(database_url)
        rename("half")
        if is_first and moment == "between two":
            end_backends(database_url)
        rename("whole")
        if is_first and moment == "before commit":
            end_backends(database_url)
        return "result"

    with database.connection():
        assert work() == "result"
        assert headline() == "whole"
    assert (tries, committed) == (["try", "try"], ["done"])


def test_a_connection_lost_before_a_transaction_is_replaced_without_a_second_run(
    cast: Cast, database_url: str
) -> None:
    tries: list[str] = []

    @in_transaction
    def work() -> None:
        tries.append("try")
        rename("new")

    with database.connection():
        end_backends(database_url)
        work()
    assert (tries, headline()) == (["try"], "new")


def test_only_the_outermost_transaction_is_run_again(cast: Cast, database_url: str) -> None:
    tries: list[str] = []

    @in_transaction
    def inner() -> None:
        tries.append("inner")
        if len(tries) == 2:
            end_backends(database_url)
        rename("inner")

    @in_transaction
    def outer() -> None:
        tries.append("outer")
        inner()

    outer()
    assert (tries, headline()) == (["outer", "inner"] * 2, "inner")


def test_work_is_given_up_if_the_connection_is_lost_each_time(
    cast: Cast, database_url: str
) -> None:
    tries: list[str] = []

    @in_transaction
    def work() -> None:
        tries.append("try")
        rename("half")
        end_backends(database_url)

    with pytest.raises(StoreUnavailable):
        work()
    assert (len(tries), headline()) == (5, "")


@pytest.fixture
def broken_commit(cast: Cast, database_url: str) -> Iterator[None]:
    """Renaming Asha loses the connection while committing, after everything was written."""
    execute(
        database_url,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        " CREATE CONSTRAINT TRIGGER cut AFTER UPDATE ON therapist"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()",
    )
    yield
    execute(database_url, "DROP TRIGGER cut ON therapist; DROP FUNCTION cut()")


def test_work_is_never_repeated_if_the_connection_was_lost_while_committing(
    broken_commit: None,
) -> None:
    tries: list[str] = []
    committed: list[str] = []

    @in_transaction
    def work() -> None:
        tries.append("try")
        on_commit(lambda: committed.append("done"))
        rename("new")

    with database.connection():
        with pytest.raises(OutcomeUnknown):
            work()
        assert headline() == ""
    assert (tries, committed) == (["try"], [])


def test_a_single_write_is_not_repeated_if_its_connection_was_lost(broken_commit: None) -> None:
    with pytest.raises(errors.CommitUnknown):
        rename("new")
    assert headline() == ""


def test_a_transaction_with_a_failed_statement_does_not_count_as_committed(cast: Cast) -> None:
    @in_transaction
    def work() -> None:
        rename("new")
        with suppress(peewee.DataError):
            db.execute_sql("SELECT 1 / 0")

    with pytest.raises(peewee.InternalError, match="nothing was committed"):
        work()
    assert headline() == ""


def test_reads_replace_dead_connections(cast: Cast, database_url: str) -> None:
    with database.connection():
        before = own_pid()
        for _ in range(3):
            assert end_backends(database_url) >= 1
            assert headline() == ""
        assert own_pid() != before
    end_backends(database_url)
    with database.connection():
        assert headline() == ""


def test_a_read_that_is_cut_off_is_repeated(cast: Cast, database_url: str) -> None:
    with database.connection():
        pid = own_pid()
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'"
        )
        cutter = threading.Thread(
            target=lambda: until("the read to run", lambda: execute(database_url, end, pid))
        )
        cutter.start()
        # Only the first connection sleeps: the repeated read ends at once.
        seconds = f"CASE pg_backend_pid() WHEN {pid} THEN {PATIENCE_S} ELSE 0 END"
        assert db.execute_sql(f"SELECT 1 FROM pg_sleep({seconds})").fetchone() == (1,)
        cutter.join()
        assert own_pid() != pid


def test_a_full_pool_is_reported_in_time_and_recovers(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(postgresql, "POOL_WAIT_S", 0.1)
    database.bind(db.obj.database)
    is_held, may_go = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with database.connection():
            is_held.wait(PATIENCE_S)
            may_go.wait(PATIENCE_S)

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for holder in holders:
        holder.start()
    is_held.wait(PATIENCE_S)
    with pytest.raises(StoreUnavailable, match="all 2 connections"), database.connection():
        pass
    may_go.set()
    for holder in holders:
        holder.join()
    with database.connection():
        assert own_pid()


def test_threads_that_waited_for_a_failed_attempt_to_connect_share_its_failure(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.bind(db.obj.database)
    attempts: list[str] = []
    failures: list[str] = []
    have_all_asked = threading.Barrier(4)
    connect = PooledPostgresqlDatabase.connect

    def connect_together(*arguments: Any) -> Any:
        have_all_asked.wait(PATIENCE_S)
        return connect(*arguments)

    def fail(*_arguments: Any, **_parameters: Any) -> None:
        attempts.append("try")
        raise psycopg.OperationalError("no answer")

    def ask() -> None:
        with pytest.raises(StoreUnavailable, match="no answer") as failed, database.connection():
            pass
        failures.append(str(failed.value))

    with monkeypatch.context() as patches:
        patches.setattr(PooledPostgresqlDatabase, "connect", connect_together)
        patches.setattr(postgresql.Connection, "connect", fail)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(attempts), len(failures)) == (1, 4)
    with database.connection():
        assert own_pid()


def test_parameters_in_database_url_override_ours(database_url: str) -> None:
    mark = "&" if "?" in database_url else "?"
    asked = "connect_timeout=3&application_name=ours&options=-c%20lock_timeout%3D7s"
    database.bind(f"{database_url}{mark}{asked}")

    @in_transaction
    def seen() -> list[str]:
        names = ("lock_timeout", "idle_in_transaction_session_timeout", "application_name")
        return [db.execute_sql(f"SHOW {name}").fetchone()[0] for name in names]

    assert seen() == ["7s", "15s", "ours"]
    assert db.obj.connect_params.keys().isdisjoint({"connect_timeout", "application_name"})
    assert db.obj.connect_params["tcp_user_timeout"]
    database.release()


@contextmanager
def second_session(url: str, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of another session, left open."""
    with psycopg.connect(url) as other:
        for statement in statements:
            other.execute(statement)
        yield other
        if not other.closed:
            other.rollback()


def test_waiting_for_a_lock_ends_at_the_limit(
    cast: Cast, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql.LIMITS, "lock_timeout", "100ms")
    database.bind(database_url)
    with second_session(database_url, "SELECT id FROM therapist FOR UPDATE"):
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            in_transaction(rename)("new")
        assert headline() == ""
    in_transaction(rename)("new")
    assert headline() == "new"


def test_a_transaction_that_idles_is_ended_by_the_server_and_run_again(
    cast: Cast, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql.LIMITS, "idle_in_transaction_session_timeout", "300ms")
    database.bind(database_url)
    tries: list[str] = []

    @in_transaction
    def work() -> None:
        tries.append("try")
        rename("new")
        if len(tries) == 1:
            # The server ends our idle transaction, so that the other session gets the row.
            with second_session(database_url, "UPDATE therapist SET headline = 'theirs'") as other:
                other.commit()

    work()
    # On a busy machine, even a run that does nothing else may idle for too long.
    assert len(tries) > 1
    assert headline() == "new"


def test_a_server_that_hangs_is_given_up_and_the_next_request_works(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []

    @in_transaction
    def work() -> None:
        rename("half")
        stopped.append(own_pid())
        os.kill(stopped[0], signal.SIGSTOP)
        # Only now: on a busy machine, a healthy server may take longer.
        monkeypatch.setattr(postgresql, "SILENCE_S", 0.3)
        rename("whole")

    try:
        with pytest.raises(StoreUnavailable, match=r"not answered for 0\.3 s"):
            work()
        monkeypatch.undo()
        assert len(stopped) == 1
        assert headline() == ""
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    in_transaction(rename)("new")
    assert headline() == "new"


def test_if_the_server_hangs_while_committing_the_outcome_is_unknown(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []

    @in_transaction
    def work() -> None:
        rename("new")
        stopped.append(own_pid())
        os.kill(stopped[0], signal.SIGSTOP)
        monkeypatch.setattr(postgresql, "SILENCE_S", 0.3)

    try:
        with pytest.raises(OutcomeUnknown):
            work()
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    monkeypatch.undo()
    assert len(stopped) == 1
    in_transaction(rename)("later")
    assert headline() == "later"


@contextmanager
def refusing(url: str, sqlstate: str) -> Iterator[None]:
    """The server raises that error at each change of a therapist."""
    execute(
        url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$;"
        " CREATE TRIGGER refuse BEFORE UPDATE ON therapist EXECUTE FUNCTION refuse()",
    )
    try:
        yield
    finally:
        execute(url, "DROP TRIGGER refuse ON therapist; DROP FUNCTION refuse()")


@pytest.mark.parametrize(
    "sqlstate",
    ["53100", "53200", "53300", "25006", "55P03", "57014", "58030", "08006", "XX001", "40003"],
)
def test_a_fault_of_the_environment_is_reported_and_leaves_nothing(
    cast: Cast, database_url: str, sqlstate: str
) -> None:
    with database.connection(), refusing(database_url, sqlstate):
        with pytest.raises(StoreUnavailable, match="refused"):
            in_transaction(rename)("new")
        assert headline() == ""
    in_transaction(rename)("new")
    assert headline() == "new"


@pytest.mark.parametrize(
    "sqlstate", ["22003", "42703", "42P01", "25P02", "54001", "P0001", "23514"]
)
def test_an_error_in_our_statement_is_a_bug(cast: Cast, database_url: str, sqlstate: str) -> None:
    with (
        refusing(database_url, sqlstate),
        pytest.raises(errors.DATABASE_ERRORS, match="refused"),
    ):
        in_transaction(rename)("new")


def test_a_database_made_read_only_and_writable_again_needs_no_restart(
    cast: Cast, database_url: str
) -> None:
    name = execute(database_url, "SELECT current_database()")[0][0]
    execute(database_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        end_backends(database_url)
        with pytest.raises(StoreUnavailable, match="read-only"):
            in_transaction(rename)("new")
    finally:
        execute(
            database_url,
            f'ALTER DATABASE "{name}" RESET default_transaction_read_only',
        )
    end_backends(database_url)
    in_transaction(rename)("new")
    assert headline() == "new"

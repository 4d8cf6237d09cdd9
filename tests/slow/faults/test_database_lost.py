"""PostgreSQL goes away: work is repeated if that is safe, and reported if not."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import peewee
import psycopg
import pytest
from flask import Flask
from playhouse.pool import PooledPostgresqlDatabase

from app.errors import OutcomeUnknown, StoreUnavailable
from app.store.db import database, errors, postgresql
from app.store.db.database import db, in_transaction, on_commit
from tests.harness.postgresql_server import cut_while_committing, end_backends, execute, own_pid
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import Cast, headline, rename

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


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
    with cut_while_committing(database_url, "therapist"):
        yield


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

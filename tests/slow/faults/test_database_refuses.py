"""PostgreSQL hangs or refuses: the fault is reported, and the next request works."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from app.errors import OutcomeUnknown, StoreUnavailable
from app.store.db import database, errors, postgresql
from app.store.db.database import in_transaction
from tests.harness.postgresql_server import end_backends, execute, own_pid
from tests.scenarios.cast import Cast, headline, rename

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


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


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A function that stops our session's server process, once; it goes on after the block."""
    stopped: list[int] = []

    def stop() -> None:
        stopped.append(own_pid())
        os.kill(stopped[-1], signal.SIGSTOP)
        # Only now: on a busy machine, a healthy server may take longer.
        monkeypatch.setattr(postgresql, "SILENCE_S", 0.3)

    try:
        yield stop
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    assert len(stopped) == 1


def test_a_server_that_hangs_is_given_up_and_the_next_request_works(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    @in_transaction
    def work() -> None:
        rename("half")
        hang()
        rename("whole")

    with hanging(monkeypatch) as hang:
        with pytest.raises(StoreUnavailable, match=r"not answered for 0\.3 s"):
            work()
        monkeypatch.undo()
        assert headline() == ""
    in_transaction(rename)("new")
    assert headline() == "new"


def test_if_the_server_hangs_while_committing_the_outcome_is_unknown(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    @in_transaction
    def work() -> None:
        rename("new")
        hang()

    with hanging(monkeypatch) as hang, pytest.raises(OutcomeUnknown):
        work()
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

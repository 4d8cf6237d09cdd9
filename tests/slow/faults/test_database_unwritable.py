"""A full or read-only database is reported with its own message, and no scheduler is blamed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import cli, clock
from app.errors import StoreUnavailable
from app.store import job_stats
from app.store.db import database
from app.store.db.database import db
from app.store.job_stats import JobDelta
from tests.harness.postgresql_server import execute
from tests.scenarios.cast import MONDAY
from tests.slow.faults.test_stopped_in_time import writes_blocked
from tests.web.conftest import Visitor, another_visitor

Checks = dict[str, tuple[bool, str]]

UNKNOWN = "cannot be judged while the database cannot be written"


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """What asks for /readyz."""
    return another_visitor(app)


@pytest.fixture
def check(app: Flask, capsys: pytest.CaptureFixture[str]) -> Callable[[], Checks]:
    """`mindsum check`: (is ok, message) by name."""

    def run_check() -> Checks:
        capsys.readouterr()
        cli.run(("check",), lambda: app)
        lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        return {name: (verdict == "ok", says) for name, verdict, says in lines}

    return run_check


def ready(visitor: Visitor) -> Checks:
    checks = visitor.get("/readyz").json["checks"]
    return {name: (each["ok"], each["says"]) for name, each in checks.items()}


def beat(*names: str) -> None:
    """Write a heartbeat for each of these jobs."""
    for name in names:
        job_stats.add(name, JobDelta(), clock.now(), 60)


def fill() -> None:
    """Keep the file from growing, and use up the free space in the table of jobs."""
    used = db.execute_sql("PRAGMA page_count").fetchone()[0]
    db.execute_sql(f"PRAGMA max_page_count = {used}")
    for length in (2000, 200, 40, 8, 1):
        with suppress(StoreUnavailable):
            for number in range(1000):
                beat(f"{number:0{length}}")
    db.execute_sql(f"PRAGMA max_page_count = {used}")


REFUSALS = {
    "full": ("53100", "could not extend file: No space left on device"),
    "read-only": ("25006", "cannot execute INSERT in a read-only transaction"),
}


@contextmanager
def refusing(fault: str, url: str) -> Iterator[str]:
    """Make every write fail; yields the database's message."""
    if not database.is_sqlite():
        state, words = REFUSALS[fault]
        execute(
            url,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION '{words}' USING ERRCODE = '{state}'; END $$;"
            " CREATE TRIGGER refuse BEFORE INSERT ON job_figures EXECUTE FUNCTION refuse()",
        )
        try:
            yield words
        finally:
            execute(url, "DROP TRIGGER refuse ON job_figures; DROP FUNCTION refuse()")
    elif fault == "full":
        fill()
        yield "database or disk is full"
        db.execute_sql("PRAGMA max_page_count = 100000")
    else:
        db.execute_sql("PRAGMA query_only = 1")
        yield "attempt to write a readonly database"
        db.execute_sql("PRAGMA query_only = 0")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_checks_report_the_database_s_message_and_do_not_blame_the_scheduler(
    visitor: Visitor, check: Callable[[], Checks], database_url: str, at: Any, fault: str
) -> None:
    beat("purge")
    with refusing(fault, database_url) as words:
        found = check()
        assert found["scheduler"] == (True, "was alive 0 s ago")
        assert found["database"][0] is False
        assert found["database"][1].endswith(f"cannot be written: {words}")
        at(MONDAY + timedelta(seconds=68))
        found, seen = check(), ready(visitor)
        assert found["scheduler"] == seen["scheduler"] == (False, UNKNOWN)
        assert found["database"][1].endswith(f"cannot be written: {words}")
        assert seen["database"] == (False, f"cannot be written: {words}")
    assert check()["database"][0]
    # Once the database works, the scheduler is to blame.
    assert ready(visitor)["database"] == (True, "answers")
    assert "was alive 68 s ago" in ready(visitor)["scheduler"][1]


def test_the_check_waits_for_a_short_write_and_leaves_nothing_behind(
    check: Callable[[], Checks], database_url: str
) -> None:
    beat("purge")
    with writes_blocked(database_url) as stranger:
        ends = threading.Timer(0.3, stranger.rollback)
        ends.start()
        found = check()
        ends.join()
    kind = "SQLite" if database.is_sqlite() else "PostgreSQL"
    is_ok, says = found["database"]
    assert is_ok
    assert says.startswith(kind)
    assert "written" in says
    assert [each.name for each in job_stats.all_jobs()] == ["purge"]

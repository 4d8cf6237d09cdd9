"""A database that is full or read-only is named in its own words, and no scheduler is blamed."""

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
from tests.harness.postgresql_server import tell
from tests.scenarios.cast import MONDAY
from tests.slow.faults.test_stopped_in_time import nobody_writes
from tests.web.conftest import Visitor, another_visitor

Looked = dict[str, tuple[bool, str]]

UNHEARD = "cannot be judged while the database cannot be written"


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Whatever asks whether the house is ready."""
    return another_visitor(app)


@pytest.fixture
def check(app: Flask, capsys: pytest.CaptureFixture[str]) -> Callable[[], Looked]:
    """`mindsum check`: what it says of each thing."""

    def looked() -> Looked:
        capsys.readouterr()
        cli.run(("check",), lambda: app)
        lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        return {name: (verdict == "ok", says) for name, verdict, says in lines}

    return looked


def ready(visitor: Visitor) -> Looked:
    checks = visitor.get("/readyz").json["checks"]
    return {name: (each["ok"], each["says"]) for name, each in checks.items()}


def stir(*names: str) -> None:
    """Those jobs show a heartbeat."""
    for name in names:
        job_stats.add(name, JobDelta(), clock.now(), 60)


def fill() -> None:
    """Let the file grow no more, and use up the room in it where jobs are told of."""
    used = db.execute_sql("PRAGMA page_count").fetchone()[0]
    db.execute_sql(f"PRAGMA max_page_count = {used}")
    for length in (2000, 200, 40, 8, 1):
        with suppress(StoreUnavailable):
            for number in range(1000):
                stir(f"{number:0{length}}")
    db.execute_sql(f"PRAGMA max_page_count = {used}")


REFUSALS = {
    "full": ("53100", "could not extend file: No space left on device"),
    "read-only": ("25006", "cannot execute INSERT in a read-only transaction"),
}


@contextmanager
def refusing(fault: str, url: str) -> Iterator[str]:
    """Nothing can be written; what the database says then."""
    if not database.is_sqlite():
        state, words = REFUSALS[fault]
        tell(
            url,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION '{words}' USING ERRCODE = '{state}'; END $$;"
            " CREATE TRIGGER refuse BEFORE INSERT ON job_figures EXECUTE FUNCTION refuse()",
        )
        try:
            yield words
        finally:
            tell(url, "DROP TRIGGER refuse ON job_figures; DROP FUNCTION refuse()")
    elif fault == "full":
        fill()
        yield "database or disk is full"
        db.execute_sql("PRAGMA max_page_count = 100000")
    else:
        db.execute_sql("PRAGMA query_only = 1")
        yield "attempt to write a readonly database"
        db.execute_sql("PRAGMA query_only = 0")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_ops_hears_what_the_database_says_and_is_not_told_to_restart_the_scheduler(
    visitor: Visitor, check: Callable[[], Looked], database_url: str, at: Any, fault: str
) -> None:
    stir("purge")
    with refusing(fault, database_url) as words:
        found = check()
        assert found["scheduler"] == (True, "was alive 0 s ago")
        assert found["database"][0] is False
        assert found["database"][1].endswith(f"cannot be written: {words}")
        at(MONDAY + timedelta(seconds=68))
        found, seen = check(), ready(visitor)
        assert found["scheduler"] == seen["scheduler"] == (False, UNHEARD)
        assert found["database"][1].endswith(f"cannot be written: {words}")
        assert seen["database"] == (False, f"cannot be written: {words}")
    assert check()["database"][0]
    # With the database well, it is the scheduler.
    assert ready(visitor)["database"] == (True, "answers")
    assert "was alive 68 s ago" in ready(visitor)["scheduler"][1]


def test_somebody_who_writes_for_a_moment_is_waited_for_and_nothing_is_left_behind(
    check: Callable[[], Looked], database_url: str
) -> None:
    stir("purge")
    with nobody_writes(database_url) as stranger:
        ends = threading.Timer(0.3, stranger.rollback)
        ends.start()
        found = check()
        ends.join()
    kind = "SQLite" if database.is_sqlite() else "PostgreSQL"
    assert found["database"] == (
        True,
        f"{kind} can be read and written, and its schema is current",
    )
    assert [each.name for each in job_stats.all_jobs()] == ["purge"]

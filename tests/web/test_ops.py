"""What ops and their machines ask."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock, create_app
from app.config import Settings
from app.store import database, heartbeat, outbox
from app.store.models import Role
from tests.conftest import MONDAY
from tests.web.conftest import Visitor, another_visitor


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


def failing(visitor: Visitor) -> set[str]:
    """The checks that do not hold; the status has to agree with them."""
    answer = visitor.get("/readyz")
    failed = {name for name, check in answer.json["checks"].items() if not check["ok"]}
    assert answer.status_code == (503 if failed else 200)
    assert answer.json["status"] == ("not ready" if failed else "ready")
    return failed


def write_email() -> None:
    outbox.enqueue("account_alert", Role.OPS, about="a story", now=clock.now())


def test_with_everything_in_order_the_house_is_ready(app: Flask, visitor: Visitor) -> None:
    heartbeat.beat("scheduler", clock.now())
    assert failing(visitor) == set()
    assert set(visitor.get("/readyz").json["checks"]) == {
        "database",
        "schema",
        "scheduler",
        "outbox",
    }


@pytest.mark.parametrize(("age_s", "failed"), [(0, set()), (60, set()), (61, {"scheduler"})])
def test_a_scheduler_is_missed_after_a_minute(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    heartbeat.beat("scheduler", clock.now())
    at(MONDAY + timedelta(seconds=age_s))
    assert failing(visitor) == failed


def test_a_scheduler_that_never_ran_is_missed(visitor: Visitor) -> None:
    assert failing(visitor) == {"scheduler"}


@pytest.mark.parametrize(("age_s", "failed"), [(600, set()), (601, {"outbox"})])
def test_an_outbox_is_stuck_after_ten_minutes(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    write_email()
    now = at(MONDAY + timedelta(seconds=age_s))
    heartbeat.beat("scheduler", now)
    assert failing(visitor) == failed


def test_a_schema_step_that_is_missing_is_named(tmp_path: Any) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/empty.db"))
    answer = another_visitor(app).get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["schema"] == {
        "ok": False,
        "says": "waits for upgrades; run: mindsum db upgrade",
    }


def test_without_a_database_the_process_is_up_but_not_ready() -> None:
    visitor = another_visitor(
        create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    )
    assert visitor.get("/healthz").json == {"status": "up"}
    assert failing(visitor) == {"database"}
    metrics = visitor.get("/metrics")
    assert metrics.status_code == 200
    assert "mindsum_database_up 0.0" in metrics.text
    database.release()


def test_the_figures_are_those_of_the_moment(visitor: Visitor, at: Any) -> None:
    write_email()
    heartbeat.beat("scheduler", clock.now())
    at(MONDAY + timedelta(seconds=90))
    said = visitor.get("/metrics").text
    for line in (
        "mindsum_database_up 1.0",
        "mindsum_outbox_due 1.0",
        "mindsum_outbox_oldest_due_age_seconds 90.0",
        "mindsum_scheduler_heartbeat_age_seconds 90.0",
        "mindsum_enquiries_open 0.0",
        "# TYPE mindsum_enquiries_overdue gauge",
    ):
        assert line in said


def test_a_database_that_does_not_answer_is_a_503_that_says_nothing_was_done() -> None:
    app = create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    for path in ("/", "/therapists/asha", "/my-links"):
        answer = another_visitor(app).get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "Nothing was done and nothing was lost" in answer.text

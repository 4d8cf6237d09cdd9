"""Whether the site is ready: database, schema, notes and scheduler."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import clock, config, create_app
from app.config import Settings
from app.services.jobs.monitor import JobMonitor
from app.store.db import database
from app.version import VERSION
from tests.harness.databases import postgresql_in
from tests.harness.ops_pages import (
    NAMES,
    assert_not_ready,
    beat,
    failing_checks,
    finish,
    job,
    scrape,
)
from tests.harness.waiting import until
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


def test_with_everything_in_order_the_site_is_ready(app: Flask, visitor: Visitor) -> None:
    beat()
    assert failing_checks(visitor) == {}
    assert set(visitor.get("/readyz").json["checks"]) == {
        "database",
        "schema",
        "notes",
        "scheduler",
        "outbox",
    }


def test_a_site_that_cannot_read_what_was_written_is_not_ready(
    story: Story, settings: Settings, visitor: Visitor
) -> None:
    story.ask(note="for Asha's eyes")
    beat()
    config.use(settings.model_copy(update={"notes_key": (Fernet.generate_key().decode(),)}))
    # What is written with the wrong key reads well with it.
    story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9), note="for Bran's")
    assert set(failing_checks(visitor)) == {"notes"}
    config.use(settings)
    assert set(failing_checks(visitor)) == {"notes"}


def test_a_scheduler_is_missed_by_its_most_frequent_heartbeat(visitor: Visitor, at: Any) -> None:
    monitor = JobMonitor()
    finish(monitor, job("apply_standing"))
    finish(monitor, job("deliver_outbox", patience_s=200))
    at(MONDAY + timedelta(seconds=62))
    assert_not_ready(visitor, "scheduler", "62 s ago")


@pytest.mark.parametrize(("age_s", "failed"), [(0, set()), (60, set()), (61, {"scheduler"})])
def test_a_scheduler_is_missed_after_a_minute(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    beat()
    at(MONDAY + timedelta(seconds=age_s))
    assert set(failing_checks(visitor)) == failed


@pytest.mark.both_databases
def test_a_scheduler_that_never_ran_is_missed(visitor: Visitor) -> None:
    assert_not_ready(visitor, "scheduler", "never run", "python scheduler.py")


def test_a_job_that_hangs_is_named_while_the_others_run(visitor: Visitor, at: Any) -> None:
    beat()
    at(MONDAY + timedelta(seconds=75))
    beat("apply_standing", "purge")
    assert_not_ready(visitor, "scheduler", "deliver_outbox", "75 s", "restart")


def test_a_job_that_waits_its_hour_is_missed_a_minute_after_it_began_to_hang(
    visitor: Visitor, at: Any
) -> None:
    monitor, purge = JobMonitor(), job("purge", every_s=3600)

    def others_run_after(seconds: int) -> None:
        at(clock.now() + timedelta(seconds=seconds))
        finish(monitor, job("apply_standing"))

    finish(monitor, purge)
    others_run_after(3600)
    assert failing_checks(visitor) == {}
    monitor.start(purge, clock.now())
    others_run_after(60)
    assert failing_checks(visitor) == {}
    others_run_after(5)
    assert_not_ready(visitor, "scheduler", "purge", "65 s", "restart")


def test_a_job_that_hangs_is_named_although_the_clock_went_back(visitor: Visitor, at: Any) -> None:
    beat()
    at(MONDAY - timedelta(hours=1))
    beat("apply_standing", "purge")
    assert_not_ready(visitor, "scheduler", "deliver_outbox", "restart")
    at(MONDAY - timedelta(hours=2))
    assert_not_ready(visitor, "scheduler", "clock", "3600 s ahead")


@pytest.mark.parametrize(("age_s", "failed"), [(600, set()), (601, {"scheduler"})])
def test_between_runs_from_cron_ten_minutes_may_pass(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    monitor = JobMonitor(is_resident=False)
    for name in NAMES:
        finish(monitor, job(name, every_s=3600))
    at(MONDAY + timedelta(seconds=age_s))
    assert set(failing_checks(visitor)) == failed


def test_a_slow_mail_server_does_not_count_as_a_job_that_hangs(visitor: Visitor, at: Any) -> None:
    lease_s = 20 * 30
    monitor = JobMonitor()

    def others_run_at(age_s: int) -> None:
        at(MONDAY + timedelta(seconds=age_s))
        finish(monitor, job("apply_standing"))

    others_run_at(0)
    monitor.progress(job("deliver_outbox", patience_s=lease_s), clock.now())
    others_run_at(lease_s)
    assert failing_checks(visitor) == {}
    others_run_at(lease_s + 1)
    assert_not_ready(visitor, "scheduler", "deliver_outbox", "601 s", "restart")


def test_a_schema_step_that_is_missing_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    visitor = another_visitor(create_app(Settings(database_url=f"sqlite:///{empty}")))
    assert_not_ready(visitor, "schema", "mindsum db upgrade")
    found = scrape(visitor)
    assert (found["mindsum_database_up"], found["mindsum_schema_current"]) == (1, 0)
    assert "mindsum_outbox_due" not in found


def test_without_a_database_the_process_is_up_but_not_ready() -> None:
    visitor = another_visitor(
        create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    )
    assert visitor.get("/healthz").json == {"status": "up", "version": VERSION}
    assert set(failing_checks(visitor)) == {"database"}
    found = scrape(visitor)
    assert found["mindsum_database_up"] == 0
    assert "mindsum_schema_current" not in found
    assert "mindsum_outbox_due" not in found
    assert any(name.startswith("mindsum_http_request_duration_seconds") for name in found)
    database.release()


def test_an_outage_between_two_scrapes_is_shown_and_so_is_its_end() -> None:
    folder = tempfile.mkdtemp(prefix="mindsum-outage-")
    server = postgresql_in(folder, "stop")
    try:
        visitor = another_visitor(create_app(Settings(database_url=server.get_uri())))
        database.upgrade()
        beat()
        assert scrape(visitor)["mindsum_database_up"] == 1
        server.cleanup()
        assert scrape(visitor)["mindsum_database_up"] == 0
        assert set(failing_checks(visitor)) == {"database"}
        assert scrape(visitor)["mindsum_database_up"] == 0
        server = postgresql_in(folder, "stop")
        until("the database to be up", lambda: scrape(visitor)["mindsum_database_up"])
        until("all checks to pass", lambda: failing_checks(visitor), lambda checks: not checks)
    finally:
        database.release()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_that_does_not_answer_is_a_503_that_says_nothing_was_done() -> None:
    app = create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    for path in ("/", "/therapists/asha", "/my-links"):
        answer = another_visitor(app).get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "Nothing was done" in answer.text

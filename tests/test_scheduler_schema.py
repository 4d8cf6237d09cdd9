"""While the schema is not the code's no job does anything; once it is, all go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from flask import Flask

from app.cli import run
from app.scheduler.process import run_once
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.services.jobs.runner import JobRunner
from app.store import job_stats
from app.store.db.database import db
from app.store.models import OutboxEmail
from tests.scenarios.story import Story

pytestmark = pytest.mark.both_databases

LINE = 'event=jobs_wait why="the schema waits for upgrades: mindsum db upgrade"'


@contextmanager
def one_step_behind() -> Iterator[None]:
    """As after a new version has started, and before `mindsum db upgrade`."""
    [(last,)] = db.execute_sql("SELECT MAX(name) FROM schema_migration").fetchall()
    db.execute_sql(f"DELETE FROM schema_migration WHERE name = '{last}'")
    try:
        yield
    finally:
        _add_step(last)


@contextmanager
def one_step_ahead() -> Iterator[None]:
    """As after an older version was installed again on the database of a newer one."""
    _add_step("9999_of_tomorrow")
    try:
        yield
    finally:
        db.execute_sql("DELETE FROM schema_migration WHERE name = '9999_of_tomorrow'")


def _add_step(name: str) -> None:
    db.execute_sql(
        "INSERT INTO schema_migration (id, name, applied)"
        f" SELECT MAX(id) + 1, '{name}', MAX(applied) FROM schema_migration"
    )


def test_once_sends_nothing_and_does_nothing_before_the_upgrade(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = story.ask()
    story.wait(hours=30)
    capsys.readouterr()
    with one_step_behind():
        assert [run_once(app) for _ in range(2)] == [1, 1]
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 2
        assert all("level=error" in line and LINE in line for line in said)
        assert story.mail.messages == []
        assert story.timeline(booking) == [("requested", "client", "api")]
        assert {row.status.value for row in OutboxEmail.select()} == {"queued"}
        assert job_stats.all_jobs() == []
    assert run_once(app) == 0
    assert story.reload(booking).status == "expired"
    assert len({each.parsed["Message-ID"] for each in story.mail.messages}) == len(
        story.mail.messages
    )


def test_a_schema_of_a_newer_release_is_left_alone_and_named(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    capsys.readouterr()
    with one_step_ahead():
        assert run_once(app) == 1
        assert "is of a newer release (9999_of_tomorrow)" in capsys.readouterr().err
        ready = app.test_client().get("/readyz")
        assert (ready.status_code, "newer release" in ready.text) == (503, True)
        assert run(["booking", "list"], lambda: app) == 2
        assert "newer release" in capsys.readouterr().err
        assert run(["check"], lambda: app) == 1
        assert "newer release" in capsys.readouterr().out
    assert story.mail.messages == []
    assert run_once(app) == 0


def test_a_resident_scheduler_logs_it_once_a_minute_and_goes_on_by_itself(
    app: Flask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    machine = SimpleNamespace(monotonic=lambda: now_s)
    monkeypatch.setattr("app.services.jobs.runner.time", machine)
    starts: list[str] = []

    def service(_now: object) -> Iterator[JobResult]:
        starts.append("start")
        yield JobResult(done=1)

    runner, job = JobRunner(JobMonitor()), Job("purge", 1, service)
    with one_step_behind():
        for now_s in (0.0, 5.0, 59.0, 61.0):  # noqa: B007 - read by the machine's clock above
            assert not runner.run(job)
        assert capsys.readouterr().err.count(LINE) == 2
    assert (starts, job_stats.all_jobs()) == ([], [])
    assert runner.run(job)
    (left,) = job_stats.all_jobs()
    assert (starts, left.runs, left.failed_runs, left.done) == (["start"], 1, 0, 1)
    with one_step_behind():
        assert not runner.run(job)
    assert capsys.readouterr().err.count(LINE) == 1

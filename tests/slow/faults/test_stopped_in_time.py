"""Asked to stop while the database takes no writes, a scheduler does not wait for the database."""

import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask

from app.scheduler import process
from app.scheduler.process import SchedulerProcess
from app.services.jobs.result import JobResult
from app.services.jobs.runner import Job
from app.store import job_stats
from tests.conftest import MONDAY
from tests.harness.processes import Site
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.story import Story
from tests.slow.faults.test_database_file import file_of

HASTY = """
import sys
from datetime import timedelta
from app.scheduler import process
from app.services.jobs import monitor as vitals
process.STOPS_WITHIN_S = 1
# Its first figures are written at once, and the next when it ends.
vitals.EVERY = timedelta(hours=1)
sys.exit(process.main())
"""


@contextmanager
def nobody_writes(url: str) -> Iterator[Any]:
    """A stranger keeps everybody from writing, and lets everybody read; their connection."""
    if url.startswith("sqlite"):
        # Another thread may let go.
        with closing(sqlite3.connect(file_of(url), check_same_thread=False)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            yield stranger
    else:
        with psycopg.connect(url) as stranger:
            stranger.execute("LOCK TABLE job_figures, therapist IN EXCLUSIVE MODE")
            yield stranger
            stranger.rollback()


@pytest.fixture
def _patient_threads(app: Flask) -> Iterator[None]:
    """What was left behind has ended before the database goes."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)


@pytest.fixture
def is_held() -> threading.Event:
    """Set once a stranger keeps everybody from writing."""
    return threading.Event()


@pytest.fixture
def keeper(
    _patient_threads: None,
    app: Flask,
    at: Any,
    is_held: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> SchedulerProcess:
    """One with a job that writes its figures, and has more of them by its end."""

    def service(_now: object) -> Iterator[JobResult]:
        yield JobResult(due=1, done=1)
        is_held.wait(PATIENCE_S)
        yield JobResult()

    # Figures are written every five seconds by either clock, and both stand still.
    at(MONDAY)
    monkeypatch.setattr("app.services.jobs.monitor.time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(process, "timetable", lambda *_: (Job("purge", 9, service),))
    monkeypatch.setattr(process, "STOPS_WITHIN_S", 0.5)
    return SchedulerProcess(app)


def test_figures_that_cannot_be_written_do_not_hold_up_its_end(
    keeper: SchedulerProcess,
    is_held: threading.Event,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keeper.start()
    until("the first job figures", job_stats.figures)
    with nobody_writes(database_url):
        is_held.set()
        assert not keeper.stop()
    assert "event=scheduler_stopped" in (said := capsys.readouterr().err)
    assert "abandoned=" in said
    # Nothing was wrong but that it would have taken too long.
    assert until("the run to be counted", runs_of_jobs) == [1]


def runs_of_jobs() -> list[int]:
    return [each.runs for each in job_stats.figures() if each.runs]


@pytest.mark.usefixtures("_patient_threads")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_is_not_done_at_half_time_is_told_that_it_is_late(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_late: list[bool] = []

    def timetable(_mailer: object, is_late: Callable[[], bool]) -> tuple[Job, ...]:
        def service(_now: object) -> Iterator[JobResult]:
            was_late.append(is_late())
            was_late.append(until("the scheduler to be late", is_late))
            yield JobResult()

        return (Job("purge", 3600, service),)

    monkeypatch.setattr(process, "timetable", timetable)
    monkeypatch.setattr(process, "STOPS_WITHIN_S", 0.2)
    keeper = SchedulerProcess(app)
    keeper.start()
    until("the job to begin", lambda: was_late)
    keeper.stop()
    assert until("the job to end", lambda: was_late[1:]) == [True]
    assert not was_late[0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_process_ends_while_a_stranger_keeps_the_database_from_being_written(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    story.ask()
    site = Site(database_url, tmp_path, story.mail)
    with site.spawn("-c", HASTY) as running:
        (log,) = tmp_path.glob("*.log")
        until("the log to show event=job", log.read_text, lambda said: "event=job " in said)
        with nobody_writes(database_url):
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_S) == 1
    assert re.search("event=scheduler_stopped .*abandoned=", log.read_text())

"""A scheduler that is told to stop while the database takes no writes does not wait for it."""

import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask

from app.scheduler import process
from app.scheduler.process import SchedulerProcess
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.store import job_stats, wakeups
from tests.harness.processes import Site
from tests.harness.waiting import PATIENCE_S, is_quiet, until
from tests.scenarios.story import Story
from tests.slow.faults.test_database_file import file_of

IMPATIENT_SCHEDULER = """
import sys
from app.scheduler import process
process.STOPS_WITHIN_S = 1
sys.exit(process.main())
"""
Work = Callable[[object], Iterator[JobResult]]


@contextmanager
def writes_blocked(url: str) -> Iterator[Any]:
    """Another program blocks all writes and no reads; its connection."""
    if url.startswith("sqlite"):
        # Another thread may end it.
        with closing(sqlite3.connect(file_of(url), check_same_thread=False)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            yield blocker
    else:
        with psycopg.connect(url) as blocker:
            blocker.execute("LOCK TABLE job_figures, therapist IN EXCLUSIVE MODE")
            yield blocker
            blocker.rollback()


@pytest.fixture
def _abandoned_threads(app: Flask) -> Iterator[None]:
    """Runs that were abandoned end before the database is gone."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)


@pytest.fixture
def scheduler_of(
    _abandoned_threads: None, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SchedulerProcess]:
    """Makes a scheduler with the one job `work(is_late)` and that many seconds to stop."""

    def made(work: Callable[[Callable[[], bool]], Work], stops_within_s: float) -> SchedulerProcess:
        def jobs(is_late: Callable[[], bool]) -> tuple[Job, ...]:
            return (Job("purge", 3600, work(is_late)),)

        monkeypatch.setattr(process, "STOPS_WITHIN_S", stops_within_s)
        return SchedulerProcess(app, "scheduler", jobs, wakeups.heard, JobMonitor())

    return made


def test_statistics_that_cannot_be_written_do_not_hold_up_its_end(
    scheduler_of: Callable[..., SchedulerProcess],
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_locked = threading.Event()

    def work(_now: object) -> Iterator[JobResult]:
        yield JobResult(due=1, done=1)
        is_locked.wait(PATIENCE_S)
        yield JobResult()

    scheduler = scheduler_of(lambda _is_late: work, stops_within_s=0.5)
    scheduler.start()
    until("the first job figures", job_stats.all_jobs)
    with writes_blocked(database_url):
        is_locked.set()
        assert not scheduler.stop()
    assert "event=scheduler_stopped" in (said := capsys.readouterr().err)
    assert "abandoned=purge" in said
    # The write would only have taken too long.
    assert until("the run to be counted", runs_of_jobs) == [1]


def runs_of_jobs() -> list[int]:
    return [each.runs for each in job_stats.all_jobs() if each.runs]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_that_has_not_ended_at_half_time_learns_that_it_is_late(
    scheduler_of: Callable[..., SchedulerProcess],
) -> None:
    was_late: list[bool] = []

    def work(is_late: Callable[[], bool]) -> Work:
        def run(_now: object) -> Iterator[JobResult]:
            was_late.append(is_late())
            was_late.append(until("the scheduler to be late", is_late))
            yield JobResult()

        return run

    scheduler = scheduler_of(work, stops_within_s=0.2)
    scheduler.start()
    until("the job to begin", lambda: was_late)
    scheduler.stop()
    until("the job to end", lambda: was_late[1:])
    assert was_late == [False, True]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_process_ends_while_writes_are_blocked(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    story.ask()
    site = Site(database_url, tmp_path, story.mail)
    with site.spawn("-c", IMPATIENT_SCHEDULER) as running:
        (log,) = tmp_path.glob("*.log")
        until("event=job in the log", log.read_text, lambda said: "event=job " in said)
        with writes_blocked(database_url):
            # Deliveries run twice a second, and each writes a heartbeat at its end.
            until(
                "the last heartbeat",
                lambda: is_quiet(lambda: [each.alive_at for each in job_stats.all_jobs()]),
            )
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_S) == 1
    assert re.search("event=scheduler_stopped .*abandoned=", log.read_text())

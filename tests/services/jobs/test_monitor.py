"""Statistics of jobs: each run is recorded once, and no run of any process is lost."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.services.jobs.runner import JobRunner
from app.store import job_stats
from app.store.db import database
from app.store.job_stats import JobDelta
from app.store.models import JobStatistics
from tests.harness.processes import ROOT
from tests.scenarios.cast import MONDAY
from tests.web.conftest import counted_queries


@pytest.fixture(autouse=True)
def machine(app: Flask, at: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The machine's own clock; it stands still, as ours does."""
    at(MONDAY)
    machine = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("app.services.jobs.monitor.time", machine)
    return machine


def job(name: str = "deliver_outbox", every_s: float = 1, patience_s: float = 0) -> Job:
    return Job(name, every_s, lambda _now: (part for part in ()), patience_s=patience_s)


PURGE = job("purge", every_s=3600)
NOTHING = JobResult()


def finish(
    monitor: JobMonitor, one: Job, result: JobResult = NOTHING, *, has_failed: bool = False,
    took_s: float = 0.25,
) -> None:  # fmt: skip
    monitor.finish(one, result, took_s=took_s, now=clock.now(), has_failed=has_failed)


def row(name: str = "deliver_outbox") -> JobStatistics:
    found: JobStatistics = JobStatistics.get(JobStatistics.name == name)
    return found


def writes(act: Callable[[], object]) -> int:
    """How many times `act` writes statistics."""
    with counted_queries() as queries:
        act()
    return sum("INSERT" in each and "job_figures" in each for each in queries)


def test_a_run_is_recorded_with_what_it_did() -> None:
    oldest_at = MONDAY - timedelta(seconds=40)
    result = JobResult(due=7, done=4, failed=2, oldest_at=oldest_at)
    assert writes(lambda: finish(JobMonitor(), job(), result, has_failed=True)) == 1
    left = row()
    assert (left.runs, left.failed_runs, left.done, left.failed) == (1, 1, 4, 2)
    assert (left.seconds, left.last_took_s) == (0.25, 0.25)
    # It started a quarter of a second before it ended.
    assert left.last_lag_s == 39.75
    assert left.last_finished_at == left.alive_at == MONDAY


@pytest.mark.both_databases
def test_runs_without_a_heartbeat_count_and_give_no_sign_of_life(at: Any) -> None:
    finish(JobMonitor(), job(), JobResult(due=1, done=1))
    at(MONDAY + timedelta(minutes=5))
    finish(JobMonitor(has_heartbeat=False), job(patience_s=999), JobResult(due=2, done=2))
    assert (row().runs, row().done) == (2, 3)
    assert row().alive_at == MONDAY
    assert row().patience_s < 999


def test_counts_add_up_and_the_last_values_stay_until_there_are_newer_ones() -> None:
    first, second = JobMonitor(), JobMonitor()
    finish(first, job(), JobResult(done=1))
    finish(second, job(), JobResult(done=2), took_s=0.5)
    JobMonitor().progress(job(), clock.now() + timedelta(seconds=9))
    left = row()
    assert (left.runs, left.done, left.seconds) == (2, 3, 0.75)
    assert (left.last_took_s, left.last_finished_at) == (0.5, MONDAY)
    assert left.alive_at == MONDAY + timedelta(seconds=9)


def test_runs_that_find_nothing_are_written_every_five_seconds_and_all_counted(at: Any) -> None:
    monitor = JobMonitor()

    def run_each_second() -> None:
        for second in range(11):
            at(MONDAY + timedelta(seconds=second))
            finish(monitor, job())

    assert writes(run_each_second) == 3
    assert (row().runs, row().seconds) == (11, 2.75)
    # What did something, or failed, is written at once.
    assert writes(lambda: finish(monitor, job(), JobResult(done=1))) == 1
    assert writes(lambda: finish(monitor, job(), has_failed=True)) == 1
    assert writes(lambda: finish(monitor, job())) == 1
    assert (row().runs, row().failed_runs) == (14, 1)


def test_a_run_that_failed_leaves_the_lag_as_it_was() -> None:
    monitor = JobMonitor()
    overdue = JobResult(due=1, oldest_at=MONDAY - timedelta(seconds=30))
    finish(monitor, job(), overdue, took_s=0)
    finish(monitor, job(), has_failed=True)
    assert (row().last_lag_s, row().failed_runs) == (30, 1)
    finish(monitor, job())
    assert row().last_lag_s == 0


@pytest.mark.parametrize(
    ("is_resident", "given_s", "running_s", "waiting_s"),
    [
        (True, 199.5, 200, 203),
        (True, 20, 60, 63),
        (False, 200, 600, 600),
        (False, 900, 900, 900),
    ],
)
def test_a_job_may_be_silent_for_its_patience_and_between_runs_for_their_interval_too(
    is_resident: bool, given_s: float, running_s: int, waiting_s: int
) -> None:
    monitor, one = JobMonitor(is_resident=is_resident), job(every_s=3, patience_s=given_s)
    monitor.progress(one, clock.now())
    assert row().patience_s == running_s
    finish(monitor, one)
    assert row().patience_s == waiting_s


def test_a_job_that_waited_an_hour_has_a_minute_once_it_runs() -> None:
    monitor = JobMonitor()
    finish(monitor, PURGE)
    assert row("purge").patience_s == 3660
    monitor.start(PURGE, clock.now())
    assert (row("purge").patience_s, row("purge").runs) == (60, 1)


def test_the_start_of_a_frequent_job_is_not_worth_a_write() -> None:
    assert writes(lambda: JobMonitor().start(job(), clock.now())) == 0
    assert writes(lambda: JobMonitor(is_resident=False).start(PURGE, clock.now())) == 0


def test_a_long_run_shows_a_heartbeat_every_five_seconds_and_counts_as_none(
    at: Any, machine: SimpleNamespace
) -> None:
    monitor = JobMonitor()

    def work_for_a_minute() -> None:
        for second in range(60):
            machine.monotonic = lambda: float(second)  # noqa: B023 - read before the next second
            monitor.progress(job(), at(MONDAY + timedelta(seconds=second)))
            assert clock.now() - row().alive_at <= timedelta(seconds=5)

    assert writes(work_for_a_minute) == 12
    assert (row().runs, row().last_finished_at) == (0, None)


def test_statistics_that_cannot_be_written_are_logged_and_added_by_the_next_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    monitor = JobMonitor()
    database.db.execute_sql("ALTER TABLE job_figures RENAME TO elsewhere")
    finish(monitor, job(), JobResult(done=3))
    database.db.execute_sql("ALTER TABLE elsewhere RENAME TO job_figures")
    (line,) = capsys.readouterr().err.splitlines()
    assert "event=job_figures_unwritten job=deliver_outbox" in line
    finish(monitor, job(), JobResult(done=4))
    assert (row().runs, row().done) == (2, 7)
    finish(monitor, job(), JobResult(done=1))
    assert (row().runs, row().done) == (3, 8)


@pytest.mark.parametrize(
    ("overdue_s", "done", "level"), [(61, 0, "warning"), (60, 0, "info"), (61, 1, "info")]
)
def test_what_stays_undone_for_a_minute_is_a_warning(
    overdue_s: int, done: int, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = JobResult(due=1, done=done, oldest_at=clock.now() - timedelta(seconds=overdue_s))
    sweep = Job("escalate_late", 3, lambda _now: (part for part in [result]))
    assert JobRunner(JobMonitor()).run(sweep)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"level={level} event=job job=escalate_late due=1" in line


def test_threads_of_one_process_lose_no_run() -> None:
    monitor = JobMonitor()

    def work() -> None:
        with database.connection():
            for number in range(25):
                finish(monitor, job(), JobResult(done=1), has_failed=number % 5 == 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (row().runs, row().failed_runs, row().done) == (100, 20, 100)


@pytest.mark.process
def test_processes_at_once_lose_no_run(database_url: str) -> None:
    work = (
        "import sys; from app import clock; from app.store.db import database;"
        "from app.services.jobs.result import Job, JobResult;"
        "from app.services.jobs.monitor import JobMonitor;"
        "database.bind(sys.argv[1]); monitor = JobMonitor()\n"
        "for _ in range(50):\n"
        "    for name in sys.argv[2:]:\n"
        "        job = Job(name, 1, lambda now: ())\n"
        "        result = JobResult(done=1)\n"
        "        monitor.finish(job, result, took_s=1, now=clock.now(), has_failed=True)\n"
    )
    names = ("apply_standing", "purge", "deliver_outbox")
    at_once = [
        subprocess.Popen([sys.executable, "-c", work, database_url, *order], cwd=ROOT)
        for order in (names, names[::-1], names)
    ]
    assert [each.wait(240) for each in at_once] == [0, 0, 0]
    for name in names:
        left = row(name)
        assert (left.runs, left.failed_runs, left.done, left.seconds) == (150, 150, 150, 150)


def test_any_process_adds_to_a_row_and_the_last_one_sets_the_patience() -> None:
    job_stats.add("purge", JobDelta(runs=2, seconds=1.5), MONDAY, 60)
    job_stats.add("purge", JobDelta(runs=1, seconds=0.5), MONDAY, 600)
    left = row("purge")
    assert (left.runs, left.seconds, left.patience_s) == (3, 2.0, 600)

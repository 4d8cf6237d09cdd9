"""How the jobs fare: nothing is lost between processes, an idle house is left in peace."""

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
from app.services.jobs.result import JobResult
from app.store import job_stats
from app.store.db import database
from app.store.job_stats import JobDelta
from app.store.models import JobFigures
from tests.conftest import MONDAY
from tests.harness.processes import ROOT
from tests.web.conftest import counted_queries

pytestmark = pytest.mark.both_databases

NAMES = ("apply_standing", "purge", "deliver_outbox")


@pytest.fixture(autouse=True)
def _monday(app: Flask, at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clocks stand still: by the machine's own, figures are written every five seconds."""
    at(MONDAY)
    monkeypatch.setattr("app.services.jobs.monitor.time", SimpleNamespace(monotonic=lambda: 0.0))


NOTHING = JobResult()


def ends(
    vitals: JobMonitor, job: str = "deliver_outbox", run: JobResult = NOTHING, **more: Any
) -> None:
    """A run of that job begins, and ends at once."""
    vitals.begin(job)
    told: dict[str, Any] = {"took_s": 0.25, "now": clock.now(), "has_failed": False, **more}
    vitals.note(job, run, **told)


def row(job: str = "deliver_outbox") -> JobFigures:
    found: JobFigures = JobFigures.get(JobFigures.name == job)
    return found


def writes(act: Callable[[], None]) -> int:
    """How many times `act` wrote figures down."""
    with counted_queries() as seen:
        act()
    return sum("INSERT" in each and "job_figures" in each for each in seen)


def test_a_run_leaves_what_it_came_to() -> None:
    oldest_at = MONDAY - timedelta(seconds=40)
    ends(
        JobMonitor(NAMES),
        run=JobResult(due=7, done=4, failed=2, oldest_at=oldest_at),
        has_failed=True,
    )
    left = row()
    assert (left.runs, left.failed_runs, left.done, left.failed) == (1, 1, 4, 2)
    assert (left.seconds, left.last_took_s) == (0.25, 0.25)
    # It began a quarter of a second before it ended.
    assert left.last_lag_s == 39.75
    assert left.last_finished_at == left.alive_at == MONDAY


def test_figures_add_up_and_the_last_ones_stay_until_there_are_newer() -> None:
    first, second = JobMonitor(NAMES), JobMonitor(NAMES)
    ends(first, run=JobResult(done=1))
    ends(second, run=JobResult(done=2), took_s=0.5)
    second.progress("deliver_outbox", clock.now() + timedelta(seconds=9))
    left = row()
    assert (left.runs, left.done, left.seconds) == (2, 3, 0.75)
    assert (left.last_took_s, left.last_finished_at) == (0.5, MONDAY)
    assert left.alive_at == MONDAY + timedelta(seconds=9)


def test_an_idle_process_writes_once_in_five_seconds_for_all_its_jobs(at: Any) -> None:
    vitals = JobMonitor(NAMES, patience_s={"purge": 90, "deliver_outbox": 200})

    def idle_for_a_minute() -> None:
        for second in range(60):
            at(MONDAY + timedelta(seconds=second))
            for name in NAMES:
                ends(vitals, name)

    assert writes(idle_for_a_minute) == 12
    vitals.flush(clock.now())
    assert [row(name).runs for name in NAMES] == [60, 60, 60]


def test_a_failed_run_is_written_at_once() -> None:
    vitals = JobMonitor(NAMES)
    ends(vitals)
    assert writes(lambda: ends(vitals)) == 0
    assert writes(lambda: ends(vitals, has_failed=True)) == 1
    assert (row().runs, row().failed_runs) == (3, 1)


def test_nothing_to_tell_is_not_written_when_a_process_ends() -> None:
    vitals = JobMonitor(NAMES)
    ends(vitals)
    assert writes(lambda: vitals.flush(clock.now())) == 0


def test_the_largest_lag_since_the_last_writing_is_told() -> None:
    vitals = JobMonitor(NAMES)
    ends(vitals)
    ends(vitals, run=JobResult(due=1, oldest_at=MONDAY - timedelta(seconds=30)), took_s=0)
    ends(vitals)
    vitals.flush(clock.now())
    assert row().last_lag_s == 30


def test_a_run_that_failed_leaves_the_lag_as_it_was() -> None:
    vitals = JobMonitor(NAMES)
    ends(vitals, run=JobResult(due=1, oldest_at=MONDAY - timedelta(seconds=30)), took_s=0)
    ends(vitals, has_failed=True)
    assert (row().last_lag_s, row().failed_runs) == (30, 1)
    ends(vitals, has_failed=True)
    assert (row().last_lag_s, row().failed_runs) == (30, 2)
    ends(vitals)
    vitals.flush(clock.now())
    assert row().last_lag_s == 0


@pytest.mark.parametrize(
    ("is_resident", "given_s", "patience_s"),
    [(True, 199.5, 200), (True, 20, 60), (False, 200, 600), (False, 6000, 6000)],
)
def test_a_job_is_given_more_patience_than_usual_and_never_less(
    is_resident: bool, given_s: float, patience_s: int
) -> None:
    vitals = JobMonitor(NAMES, is_resident=is_resident, patience_s={"deliver_outbox": given_s})
    for name in NAMES:
        ends(vitals, name)
    vitals.flush(clock.now())
    usual_s = 60 if is_resident else 600
    assert {each.name: each.patience_s for each in job_stats.figures()} == {
        "apply_standing": usual_s, "purge": usual_s, "deliver_outbox": patience_s,
    }  # fmt: skip
    assert row().runs == 1


def test_what_could_not_be_written_is_written_later_and_nobody_is_pressed(
    app: Flask, database_url: str, at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    vitals = JobMonitor(NAMES)
    database.db.execute_sql("ALTER TABLE job_figures RENAME TO elsewhere")
    ends(vitals, run=JobResult(done=3), has_failed=True)
    assert writes(lambda: ends(vitals, run=JobResult(done=4), has_failed=True)) == 0
    database.db.execute_sql("ALTER TABLE elsewhere RENAME TO job_figures")
    at(MONDAY + timedelta(seconds=5))
    ends(vitals)
    left = row()
    assert (left.runs, left.failed_runs, left.done) == (3, 2, 7)
    assert left.last_finished_at == MONDAY + timedelta(seconds=5)
    assert capsys.readouterr().err.count("event=job_figures_unwritten") == 1


def test_threads_of_one_process_lose_no_run() -> None:
    vitals = JobMonitor(NAMES)

    def work() -> None:
        with database.connection():
            for number in range(100):
                ends(vitals, run=JobResult(done=1), has_failed=number % 10 == 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vitals.flush(clock.now())
    assert (row().runs, row().failed_runs, row().done) == (400, 40, 400)


@pytest.mark.process
def test_processes_at_once_lose_no_run(database_url: str) -> None:
    work = (
        "import sys; from app import clock; from app.store.db import database;"
        "from app.services.jobs.result import JobResult;"
        "from app.services.jobs.monitor import JobMonitor;"
        "database.bind(sys.argv[1]); names = sorted(sys.argv[2:]); vitals = JobMonitor(names)\n"
        "for _ in range(50):\n"
        "    for name in sys.argv[2:]:\n"
        "        vitals.begin(name)\n"
        "        vitals.note(name, JobResult(done=1), took_s=1, now=clock.now(), has_failed=True)\n"
    )
    orders = (NAMES, NAMES[::-1], NAMES)
    at_once = [
        subprocess.Popen([sys.executable, "-c", work, database_url, *names], cwd=ROOT)
        for names in orders
    ]
    assert [each.wait(240) for each in at_once] == [0, 0, 0]
    for name in NAMES:
        left = row(name)
        assert (left.runs, left.failed_runs, left.done, left.seconds) == (150, 150, 150, 150)


def test_a_process_vouches_for_jobs_that_wait_and_for_none_that_is_in_hand(at: Any) -> None:
    vitals = JobMonitor(NAMES)
    vitals.begin("purge")
    ends(vitals)
    assert {each.name for each in job_stats.figures()} == {"apply_standing", "deliver_outbox"}
    vitals.note(
        "purge", JobResult(), took_s=1, now=at(MONDAY + timedelta(hours=2)), has_failed=False
    )
    assert row("apply_standing").alive_at == row("purge").alive_at == clock.now()


def test_of_several_runs_at_once_each_has_to_end_before_the_process_vouches_again(at: Any) -> None:
    vitals = JobMonitor(NAMES)
    vitals.begin("deliver_outbox")
    ends(vitals, "deliver_outbox")
    at(MONDAY + timedelta(minutes=1))
    ends(vitals, "purge")
    assert row("deliver_outbox").alive_at == MONDAY


def test_a_single_run_vouches_for_nothing_that_it_has_not_done() -> None:
    vitals = JobMonitor(NAMES, is_resident=False)
    ends(vitals, "purge")
    ends(vitals, "deliver_outbox")
    assert [each.name for each in job_stats.figures()] == ["purge"]
    vitals.flush(clock.now())
    assert [each.name for each in job_stats.figures()] == ["deliver_outbox", "purge"]


def test_progress_is_a_sign_of_life_and_no_run(at: Any) -> None:
    vitals = JobMonitor(NAMES)
    vitals.begin("deliver_outbox")
    for second in range(0, 300, 3):
        vitals.progress("deliver_outbox", at(MONDAY + timedelta(seconds=second)))
        assert clock.now() - row().alive_at <= timedelta(seconds=5)
    assert (row().runs, row().last_finished_at) == (0, None)


def test_rows_are_added_to_whoever_made_them(at: Any) -> None:
    job_stats.add({"purge": JobDelta(runs=2, seconds=1.5)}, MONDAY, {"purge": 60})
    job_stats.add({"purge": JobDelta(runs=1, seconds=0.5)}, MONDAY, {"purge": 600})
    left = row("purge")
    assert (left.runs, left.seconds, left.patience_s) == (3, 2.0, 600)

"""The scheduler process: runs the timetable until it is stopped, or once."""

import argparse
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from app import create_app
from app.errors import ConfigError
from app.scheduler.delivery_worker import DeliveryWorker, WakeUps, has_second_core
from app.scheduler.timetable import DELIVER_OUTBOX, delivery_job, timetable
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job
from app.services.jobs.runner import JobRunner
from app.store import wakeups
from emails import render

# Half of it for ordinary ends, half after no message may be handed over any more.
STOPS_WITHIN_S = 9.0
# The worker is asked to stop at the same moment; both are gone before a supervisor's ten seconds.
WORKER_ENDS_WITHIN_S = 0.5
PAUSE_AFTER_FAILURE_S = 5.0
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}

# Makes the jobs; no message is handed over once the function it is given returns True.
MakeJobs = Callable[[Callable[[], bool]], tuple[Job, ...]]

_log = structlog.get_logger("mindsum")


def run_once(app: Flask) -> int:
    """Exit status 0, or 1 if a job failed."""
    runner = JobRunner(JobMonitor(is_resident=False))
    with app.app_context():
        succeeded = [runner.run(job) for job in timetable(app.extensions["mailer"])]
    return 0 if all(succeeded) else 1


class SchedulerProcess:
    """Runs each job in a thread, so that one that hangs does not stop the others."""

    def __init__(
        self, app: Flask, name: str, jobs: MakeJobs, wake_ups: WakeUps, monitor: JobMonitor
    ) -> None:
        """`name` begins the names of its log events; `wake_ups` are for `deliver_outbox`."""
        self._app = app
        self._name = name
        self._is_late = threading.Event()
        self._jobs = jobs(self._is_late.is_set)
        self._wake_ups = wake_ups
        self._runner = JobRunner(monitor)
        self._stopping = threading.Event()
        self._running: Counter[str] = Counter()
        self._running_changed = threading.Condition()
        self._waking = threading.Thread(target=self._deliver_when_woken, daemon=True)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(sum(job.at_once for job in self._jobs))},
            job_defaults={"coalesce": True, "misfire_grace_time": None},
        )

    def start(self) -> None:
        for job in self._jobs:
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=job.every_s),
                args=[job],
                id=job.name,
                max_instances=job.at_once,
                # APScheduler goes by the machine's clock, not by the demo's.
                next_run_time=datetime.now(UTC),
            )
        self._scheduler.start()
        self._waking.start()
        _log.info(f"{self._name}_started", jobs=len(self._jobs), pid=os.getpid())

    def stop(self) -> bool:
        """False if a run did not end in time."""
        self._stopping.set()
        self._scheduler.shutdown(wait=False)
        if not self._wait_for_runs(STOPS_WITHIN_S / 2):
            # The answer to a message that is handed over from now on might come too late.
            self._is_late.set()
            if not self._wait_for_runs(STOPS_WITHIN_S / 2):
                abandoned = ",".join(sorted(+self._running))
                _log.error(f"{self._name}_stopped", pid=os.getpid(), abandoned=abandoned)
                return False
        _log.info(f"{self._name}_stopped", pid=os.getpid())
        return True

    def _wait_for_runs(self, timeout_s: float) -> bool:
        with self._running_changed:
            return self._running_changed.wait_for(lambda: not +self._running, timeout_s)

    def _deliver_when_woken(self) -> None:
        for _ in self._wake_ups(self._stopping.is_set):
            # There is no job any more once it stops.
            with suppress(JobLookupError):
                self._scheduler.modify_job(DELIVER_OUTBOX, next_run_time=datetime.now(UTC))

    def _run(self, job: Job) -> None:
        self._count(job.name, 1)
        try:
            if not self._stopping.is_set():
                with self._app.app_context():
                    has_succeeded = self._runner.run(job, self._stopping.is_set)
                if not has_succeeded:
                    # Whatever is broken is not repaired sooner by an error line per second.
                    self._stopping.wait(PAUSE_AFTER_FAILURE_S)
        finally:
            self._count(job.name, -1)

    def _count(self, name: str, by: int) -> None:
        with self._running_changed:
            self._running[name] += by
            self._running_changed.notify_all()


def run_forever(app: Flask) -> int:
    """Until SIGTERM or SIGINT; exit status 1 if a run or the worker did not end in time."""
    # Blocked before any process or thread starts, so that only `sigwait` takes them in each.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    worker = None
    if has_second_core():
        try:
            worker = DeliveryWorker(partial(_deliver_forever, app))
        except OSError as error:
            _log.error("delivery_worker_lost", why=f"it could not be started: {error.strerror}")

    def ring() -> None:
        wakeups.ring()
        if worker is not None:
            worker.ring()

    jobs = partial(timetable, app.extensions["mailer"], ring=ring)
    process = SchedulerProcess(app, "scheduler", jobs, wakeups.heard, JobMonitor())
    return _run_until_stopped(process, worker)


def _deliver_forever(app: Flask, wake_ups: WakeUps) -> int:
    def jobs(is_late: Callable[[], bool]) -> tuple[Job, ...]:
        return (delivery_job(app.extensions["mailer"], is_late, wakeups.ring),)

    # Its signs of life must not hide that the scheduler hangs.
    monitor = JobMonitor(has_heartbeat=False)
    process = SchedulerProcess(app, "delivery_worker", jobs, wake_ups, monitor)
    return _run_until_stopped(process, None)


def _run_until_stopped(process: SchedulerProcess, worker: DeliveryWorker | None) -> int:
    process.start()
    signal.sigwait(STOP_SIGNALS)
    stops_at_s = time.monotonic() + STOPS_WITHIN_S
    if worker is not None:
        worker.ask_to_stop()
    has_stopped = process.stop()
    left_s = max(stops_at_s - time.monotonic(), 0) + WORKER_ENDS_WITHIN_S
    has_worker_stopped = worker is None or worker.wait_or_kill(left_s)
    if has_stopped:
        return 0 if has_worker_stopped else 1
    logging.shutdown()
    # A thread that hangs would keep the process alive; what it was doing becomes due again.
    os._exit(1)


def main() -> int:
    """Exit status 2 for a bad setting."""
    parser = argparse.ArgumentParser(prog="scheduler.py", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run each job once, then exit")
    arguments = parser.parse_args()
    try:
        app = create_app()
    except ConfigError as error:
        print(f"scheduler: {error}", file=sys.stderr)  # noqa: T201 - to the terminal
        return 2
    render.warm_up()
    # The collector would look through what was loaded, and a forked process would copy that memory.
    gc.collect()
    gc.freeze()
    return run_once(app) if arguments.once else run_forever(app)

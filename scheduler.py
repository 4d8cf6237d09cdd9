"""The timetable as data, and the loop that keeps it: `python scheduler.py [--once]`."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from app import clock, create_app
from app.errors import ConfigError, StoreUnavailable
from app.mailer import Mailer
from app.services import sweeps, timekeeping
from app.services.delivery import Courier
from app.services.runs import Parts, Run
from app.services.vitals import Vitals
from app.store import database
from emails import render

Service = Callable[[datetime], Parts]

STOPS_WITHIN_S = 9.0
AFTER_FAILURE_S = 5.0
WATCHED_EVERY_S = 0.2
LEAP = timedelta(seconds=2)
"""From how far on a change of the clock is no correction, but a leap."""

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the timetable; `every_s` is the time between two runs.

    `at_once` runs of it may go on at the same time in one process. It hangs where it has not got
    on for `patience_s`, or the usual, if that is longer.
    """

    name: str
    every_s: float
    service: Service
    at_once: int = 1
    patience_s: float = 0.0


def timetable(mailer: Mailer) -> tuple[Job, ...]:
    """All jobs in the order in which `--once` runs them."""
    courier = Courier(mailer, clock.now)
    return (
        Job("remind_answers", 1, sweeps.remind_answers),
        Job("escalate_late", 1, sweeps.escalate_late),
        Job("expire_enquiries", 1, sweeps.expire_enquiries),
        Job("complete_sessions", 1, sweeps.complete_sessions),
        Job("apply_standing", 1, sweeps.apply_standing),
        Job("remind_sessions", 1, sweeps.remind_sessions),
        Job("purge", 3600, sweeps.purge),
        # Most of an email's time is waiting for the mail server.
        Job("deliver_outbox", 0.5, lambda _now: courier.deliver(), 4, courier.patience_s),
    )


def run(job: Job, vitals: Vitals, is_stopping: Callable[[], bool] = lambda: False) -> bool:
    """Run one job once and log what it came to; whether it went well, whatever others refused.

    Once asked to stop, it ends after the part in hand and leaves the rest for later.
    """
    began, now, outcome, has_failed = time.monotonic(), clock.now(), Run(), True
    vitals.begin(job.name)
    try:
        with database.connection(), closing(job.service(now)) as parts:
            for part in parts:
                outcome += part
                vitals.progress(job.name, clock.now())
                if is_stopping():
                    break
        has_failed = outcome.has_failed
    except StoreUnavailable as error:
        _log.error("job_failed", job=job.name, why=str(error), took_ms=_ms_since(began))
        return False
    except Exception:
        _log.exception("job_failed", job=job.name, took_ms=_ms_since(began))
        return False
    finally:
        took_s = time.monotonic() - began
        vitals.note(job.name, outcome, took_s=took_s, now=clock.now(), has_failed=has_failed)
    if outcome.due or outcome.failed:
        overdue = (now - outcome.oldest_at).total_seconds() if outcome.oldest_at else 0
        _log.log(
            logging.WARNING if outcome.failed else logging.INFO,
            "job",
            job=job.name,
            due=outcome.due,
            done=outcome.done,
            failed=outcome.failed,
            oldest_overdue_s=round(max(overdue, 0), 1),
            took_ms=_ms_since(began),
        )
    return not has_failed


def run_once(app: Flask) -> int:
    """Run every job once, in order; 0, or 1 if one failed."""
    jobs = timetable(app.extensions["mailer"])
    vitals = _vitals(jobs, is_resident=False)
    with app.app_context():
        results = [run(job, vitals) for job in jobs]
        vitals.flush(clock.now())
    return 0 if all(results) else 1


class Keeper:
    """Keeps the timetable in this process: each run in a thread, so that one hung job stops none.

    APScheduler waits for a moment of the wall clock: after a leap back it would wait that long.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._jobs = timetable(app.extensions["mailer"])
        self._vitals = _vitals(self._jobs)
        self._stopping = threading.Event()
        self._in_hand: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(sum(job.at_once for job in self._jobs))},
            job_defaults={"coalesce": True, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Begin."""
        for job in self._jobs:
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=job.every_s),
                args=[job],
                id=job.name,
                max_instances=job.at_once,
                next_run_time=_machine_now(),
            )
        self._scheduler.start()
        _log.info("scheduler_started", jobs=len(self._jobs), pid=os.getpid())

    def watch_clock(self, until: Callable[[], bool]) -> None:
        """Begin afresh after each leap of the clock, until it is time to stop."""
        leaps = clock.Leaps()
        while not until():
            time.sleep(WATCHED_EVERY_S)
            if abs(leap := leaps.since_last()) >= LEAP:
                self._begin_afresh(leap)

    def stop(self) -> bool:
        """Let the runs in hand finish the part they are at; whether all of them did in time."""
        self._stopping.set()
        self._scheduler.shutdown(wait=False)
        with self._changed:
            all_did = self._changed.wait_for(lambda: not +self._in_hand, STOPS_WITHIN_S)
            left = ",".join(sorted(+self._in_hand))
        if all_did:
            self._vitals.flush(clock.now())
            _log.info("scheduler_stopped", pid=os.getpid())
        else:
            _log.error("scheduler_stopped", pid=os.getpid(), abandoned=left)
        return all_did

    def _begin_afresh(self, leap: timedelta) -> None:
        _log.warning("clock_leapt", by_s=round(leap.total_seconds(), 1))
        for job in self._jobs:
            self._scheduler.modify_job(job.name, next_run_time=_machine_now())
        if leap < timedelta(0):
            try:
                timekeeping.after_leap_back(clock.now())
            except Exception:
                _log.exception("leap_not_mended")

    def _run(self, job: Job) -> None:
        self._count(job.name, 1)
        try:
            if not self._stopping.is_set():
                with self._app.app_context():
                    if not run(job, self._vitals, self._stopping.is_set):
                        # What is broken is not mended sooner for being told of every second.
                        self._stopping.wait(AFTER_FAILURE_S)
        finally:
            self._count(job.name, -1)

    def _count(self, name: str, by: int) -> None:
        with self._changed:
            self._in_hand[name] += by
            self._changed.notify_all()


def run_forever(app: Flask) -> int:
    """Keep the timetable until SIGTERM or SIGINT; 0, ending with 1 at once if a run hangs."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not by an Event: its lock could be in the hands of the very thread that is interrupted.
        signal.signal(number, lambda number, _frame: signals.append(number))
    keeper = Keeper(app)
    keeper.start()
    keeper.watch_clock(until=lambda: bool(signals))
    if keeper.stop():
        return 0
    logging.shutdown()
    # A thread that hangs would keep the process; what it had in hand comes due again.
    os._exit(1)


def _vitals(jobs: Sequence[Job], *, is_resident: bool = True) -> Vitals:
    patience_s = {job.name: job.patience_s for job in jobs}
    return Vitals(patience_s, is_resident=is_resident, patience_s=patience_s)


def _machine_now() -> datetime:
    """What APScheduler goes by: the machine's own clock."""
    return clock.now() - clock.offset()


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="scheduler.py", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run each job once, then exit")
    arguments = parser.parse_args()
    try:
        app = create_app()
    except ConfigError as error:
        print(f"scheduler: {error}", file=sys.stderr)  # noqa: T201 - for whoever starts it
        return 2
    render.warm_up()
    return run_once(app) if arguments.once else run_forever(app)


if __name__ == "__main__":
    sys.exit(main())

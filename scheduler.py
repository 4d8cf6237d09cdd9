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
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from app import clock, create_app
from app.errors import ConfigError
from app.mailer import Mailer
from app.services import timekeeping
from app.services.jobs import due
from app.services.jobs.monitor import Vitals
from app.services.jobs.runner import Job, Runner
from app.services.mail.sender import OutboxSender
from emails import render

STOPS_WITHIN_S = 9.0
AFTER_FAILURE_S = 5.0
WATCHED_EVERY_S = 0.2
LEAP = timedelta(seconds=2)
"""From how far on a change of the clock is no correction, but a leap."""

_log = structlog.get_logger("mindsum")


def timetable(mailer: Mailer, is_late: Callable[[], bool] = lambda: False) -> tuple[Job, ...]:
    """All jobs in the order in which `--once` runs them; no message is ended once it `is_late`."""
    sender = OutboxSender(mailer, clock.now, is_late)
    return (
        Job("remind_answers", 1, due.remind_answers),
        Job("escalate_late", 1, due.escalate_late),
        Job("expire_enquiries", 1, due.expire_enquiries),
        Job("complete_sessions", 1, due.complete_sessions),
        Job("apply_standing", 1, due.apply_standing),
        Job("remind_sessions", 1, due.remind_sessions),
        Job("purge", 3600, due.purge),
        # Most of an email's time is waiting for the mail server.
        Job("deliver_outbox", 0.5, lambda _now: sender.deliver(), 4, sender.patience_s),
    )


def run_once(app: Flask) -> int:
    """Run every job once, in order; 0, or 1 if one failed."""
    jobs = timetable(app.extensions["mailer"])
    vitals = _vitals(jobs, is_resident=False)
    runner = Runner(vitals)
    with app.app_context():
        results = [runner.run(job) for job in jobs]
        vitals.flush(clock.now())
    return 0 if all(results) else 1


class Keeper:
    """Keeps the timetable in this process: each run in a thread, so that one hung job stops none.

    APScheduler waits for a moment of the wall clock: after a leap back it would wait that long.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._late = threading.Event()
        self._jobs = timetable(app.extensions["mailer"], self._late.is_set)
        self._vitals = _vitals(self._jobs)
        self._runner = Runner(self._vitals)
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
        """Let what is in hand finish the part it is at, and write the last figures.

        Whether all of that was done in time.
        """
        self._stopping.set()
        self._scheduler.shutdown(wait=False)
        # A database that does not answer holds up that thread, and not the end of the process.
        last = threading.Thread(target=self._finish, daemon=True)
        last.start()
        last.join(STOPS_WITHIN_S / 2)
        self._late.set()
        last.join(STOPS_WITHIN_S / 2)
        if not last.is_alive():
            _log.info("scheduler_stopped", pid=os.getpid())
            return True
        with self._changed:
            left = ",".join(sorted(+self._in_hand)) or "figures"
        _log.error("scheduler_stopped", pid=os.getpid(), abandoned=left)
        return False

    def _finish(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not +self._in_hand)
        self._vitals.flush(clock.now())

    def _begin_afresh(self, leap: timedelta) -> None:
        _log.warning("clock_leapt", by_s=round(leap.total_seconds(), 1))
        for job in self._jobs:
            self._scheduler.modify_job(job.name, next_run_time=_machine_now())
        if leap < timedelta(0):
            self._count("leap", 1)
            threading.Thread(target=self._mend_leap, daemon=True).start()

    def _mend_leap(self) -> None:
        try:
            timekeeping.after_leap_back(clock.now())
        except Exception:
            _log.exception("leap_not_mended")
        finally:
            self._count("leap", -1)

    def _run(self, job: Job) -> None:
        self._count(job.name, 1)
        try:
            if not self._stopping.is_set():
                with self._app.app_context():
                    if not self._runner.run(job, self._stopping.is_set):
                        # What is broken is not mended sooner for being told of every second.
                        self._stopping.wait(AFTER_FAILURE_S)
        finally:
            self._count(job.name, -1)

    def _count(self, name: str, by: int) -> None:
        with self._changed:
            self._in_hand[name] += by
            self._changed.notify_all()


def run_forever(app: Flask) -> int:
    """Keep the timetable until SIGTERM or SIGINT; 0, ending with 1 at once if something hangs."""
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

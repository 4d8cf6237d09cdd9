"""The timetable as data, and the loop that keeps it: `python scheduler.py [--once]`."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from app import clock, create_app
from app.errors import ConfigError
from app.mailer import Mailer
from app.services import sweeps
from app.services.delivery import Courier
from app.services.runs import Run
from app.store import database, heartbeat
from emails import render

Service = Callable[[datetime], Run]

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the timetable; `every_s` is the time between two runs."""

    name: str
    every_s: float
    service: Service


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
        Job("deliver_outbox", 0.5, lambda _now: courier.deliver()),
    )


def run(job: Job) -> bool:
    """Run one job once and log what it came to; whether nothing in it failed."""
    began = time.monotonic()
    now = clock.now()
    try:
        with database.connection():
            outcome = job.service(now)
            heartbeat.beat("scheduler", now)
    except Exception:
        _log.exception("job_failed", job=job.name, took_ms=_ms_since(began))
        return False
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
    return outcome.failed == 0


def run_once(app: Flask) -> int:
    """Run every job once, in order; 0, or 1 if one failed."""
    with app.app_context():
        results = [run(job) for job in timetable(app.extensions["mailer"])]
    return 0 if all(results) else 1


def run_forever(app: Flask) -> None:
    """Keep the timetable until SIGTERM or SIGINT, then let the jobs in hand finish."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    jobs = timetable(app.extensions["mailer"])
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(len(jobs))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job in jobs:
        scheduler.add_job(
            _in_context, IntervalTrigger(seconds=job.every_s), args=[app, job], id=job.name
        )
    scheduler.start()
    _log.info("scheduler_started", jobs=len(jobs), pid=os.getpid())
    stop.wait()
    scheduler.shutdown(wait=True)
    _log.info("scheduler_stopped", pid=os.getpid())


def _in_context(app: Flask, job: Job) -> None:
    with app.app_context():
        run(job)


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
    if arguments.once:
        return run_once(app)
    run_forever(app)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs one job once, and logs and records what it did."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import structlog

from app import clock
from app.errors import StoreUnavailable
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.store.db import database

SCHEMA_LOGGED_EVERY_S = 60.0
# Nothing is claimed for so long after the database was away: a worker whose lease ended in
# that time records first what it has sent.
STORE_REST_S = 2.0
# What is left undone for longer than this is kept from us, for example by a lock in a shell.
OVERDUE_WARNED_S = 60.0

_log = structlog.get_logger("mindsum")


class JobRunner:
    def __init__(self, monitor: JobMonitor) -> None:
        self._monitor = monitor
        self._lock = threading.Lock()
        self._schema_logged_s: float | None = None
        self._store_lost_s: float | None = None

    def run(self, job: Job, is_stopping: Callable[[], bool] = lambda: False) -> bool:
        """False if it failed or the schema is behind. Stops between parts once `is_stopping`."""
        started_s, now, result = time.monotonic(), clock.now(), JobResult()
        has_started = has_succeeded = False
        if self._store_lost_s is not None and started_s - self._store_lost_s < STORE_REST_S:
            return False
        try:
            with database.connection():
                # An email that is sent but cannot be recorded would be sent again by each run.
                if self._is_schema_wrong():
                    return False
                has_started = True
                self._monitor.start(job, now)
                with closing(job.work(now)) as parts:
                    for part in parts:
                        result += part
                        self._monitor.progress(job, clock.now())
                        if is_stopping():
                            break
            has_succeeded = not result.has_failed
            _log_result(job, result, now, _ms_since(started_s))
        except StoreUnavailable as error:
            self._store_lost_s = time.monotonic()
            _log.error("job_failed", job=job.name, why=str(error), took_ms=_ms_since(started_s))
        except Exception:
            _log.exception("job_failed", job=job.name, took_ms=_ms_since(started_s))
        if has_started:
            took_s, has_failed = time.monotonic() - started_s, not has_succeeded
            self._monitor.finish(job, result, took_s=took_s, now=clock.now(), has_failed=has_failed)
        return has_succeeded

    def _is_schema_wrong(self) -> bool:
        # Logged once a minute for all jobs together.
        fault = database.schema_fault()
        with self._lock:
            now_s, logged_s = time.monotonic(), self._schema_logged_s
            is_logged = logged_s is not None and now_s - logged_s < SCHEMA_LOGGED_EVERY_S
            if fault is None:
                self._schema_logged_s = None
            elif not is_logged:
                self._schema_logged_s = now_s
        if fault is not None and not is_logged:
            _log.error("jobs_wait", why=f"the schema {fault}")
        return fault is not None


def _log_result(job: Job, result: JobResult, now: datetime, took_ms: int) -> None:
    if not (result.due or result.failed):
        return
    overdue_s = (now - result.oldest_at).total_seconds() if result.oldest_at else 0
    is_stuck = result.done < result.due and overdue_s > OVERDUE_WARNED_S
    _log.log(
        logging.WARNING if result.failed or is_stuck else logging.INFO,
        "job",
        job=job.name,
        due=result.due,
        done=result.done,
        failed=result.failed,
        oldest_overdue_s=round(max(overdue_s, 0), 1),
        took_ms=took_ms,
    )


def _ms_since(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)

"""Running a job of the timetable once, and telling what it came to."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import structlog

from app import clock
from app.errors import StoreUnavailable
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import JobResult, PartialResults
from app.store.db import database

Service = Callable[[datetime], PartialResults]

SCHEMA_TOLD_EVERY_S = 60.0

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


class JobRunner:
    """Runs the jobs of one process; for use from any thread."""

    def __init__(self, vitals: JobMonitor) -> None:
        self._vitals = vitals
        self._guard = threading.Lock()
        self._schema_told_s: float | None = None

    def run(self, job: Job, is_stopping: Callable[[], bool] = lambda: False) -> bool:
        """Run one job once and log what it came to; whether it went well, whatever others refused.

        Once asked to stop, it ends after the part in hand and leaves the rest for later. It does
        nothing, and that is not well, while the schema waits for upgrades.
        """
        began, now, outcome, has_failed = time.monotonic(), clock.now(), JobResult(), True
        self._vitals.begin(job.name)
        try:
            with database.connection():
                # What is sent and cannot be noted would be sent by every run.
                if self._is_schema_behind():
                    return False
                with closing(job.service(now)) as parts:
                    for part in parts:
                        outcome += part
                        self._vitals.progress(job.name, clock.now())
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
            self._vitals.note(
                job.name, outcome, took_s=took_s, now=clock.now(), has_failed=has_failed
            )
        _tell(job, outcome, now, _ms_since(began))
        return not has_failed

    def _is_schema_behind(self) -> bool:
        """Whether the schema waits for upgrades; told once a minute, for all jobs."""
        is_behind = bool(database.pending_upgrades())
        with self._guard:
            told_s, now_s = self._schema_told_s, time.monotonic()
            is_told = told_s is not None and now_s - told_s < SCHEMA_TOLD_EVERY_S
            if not is_behind:
                self._schema_told_s = None
            elif not is_told:
                self._schema_told_s = now_s
        if is_behind and not is_told:
            _log.error("jobs_wait", why="the schema waits for upgrades: mindsum db upgrade")
        return is_behind


def _tell(job: Job, outcome: JobResult, now: datetime, took_ms: int) -> None:
    if not (outcome.due or outcome.failed):
        return
    overdue = (now - outcome.oldest_at).total_seconds() if outcome.oldest_at else 0
    _log.log(
        logging.WARNING if outcome.failed else logging.INFO,
        "job",
        job=job.name,
        due=outcome.due,
        done=outcome.done,
        failed=outcome.failed,
        oldest_overdue_s=round(max(overdue, 0), 1),
        took_ms=took_ms,
    )


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)

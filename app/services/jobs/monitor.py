"""How this process's jobs fare: gathered here, written for all processes to see every 5 s."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

import structlog
from peewee import PeeweeException

from app.errors import StoreUnavailable
from app.services.jobs.result import JobResult
from app.store import job_stats
from app.store.db import database
from app.store.job_stats import JobDelta

EVERY = timedelta(seconds=5)
SILENT_S = 60
"""A job is missed after so many seconds where a scheduler runs all the time."""
SILENT_BETWEEN_RUNS_S = 600
"""The same where each run is a process of its own, as from cron: ten minutes."""

_log = structlog.get_logger("mindsum")


class JobMonitor:
    """Tells of the jobs of one process; for use from any thread.

    A process that keeps the timetable (`is_resident`) vouches for each of `names` that is not in
    hand: it waits for its time. So only one that is in hand and does not get on falls silent,
    however rarely it runs. A run by `--once` vouches for nothing it has not done. A figure that
    could not be written is kept for the next time; it is never worth failing a job.

    `patience_s` has for how many seconds a job may be silent, where that is longer than usual.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        is_resident: bool = True,
        patience_s: Mapping[str, float] | None = None,
    ) -> None:
        self._names = tuple(names) if is_resident else ()
        self._usual_patience_s = SILENT_S if is_resident else SILENT_BETWEEN_RUNS_S
        self._patience_s = dict(patience_s or {})
        self._lock = threading.Lock()
        self._news: dict[str, JobDelta] = {}
        self._in_hand: Counter[str] = Counter()
        self._written: tuple[float, datetime] | None = None
        self._is_refused = False

    def begin(self, job: str) -> None:
        """A run of `job` is in hand from now on, until it is noted."""
        with self._lock:
            self._in_hand[job] += 1

    def progress(self, job: str, now: datetime) -> None:
        """A run has got on, if it has not ended yet."""
        with self._lock:
            self._news.setdefault(job, JobDelta())
        self._write(now)

    def note(
        self, job: str, run: JobResult, *, took_s: float, now: datetime, has_failed: bool
    ) -> None:
        """A run that was begun has ended at `now`, after `took_s` seconds.

        `has_failed` where it raised, or something in it failed by a fault of the house: then it may
        not know how late it is.
        """
        lag_s = None if has_failed else 0.0
        if run.oldest_at:
            lag = now - timedelta(seconds=took_s) - run.oldest_at
            lag_s = max(lag.total_seconds(), 0.0)
        told = JobDelta(
            runs=1,
            failed_runs=int(has_failed),
            seconds=took_s,
            done=run.done,
            failed=run.failed,
            last_finished_at=now,
            last_took_s=took_s,
            last_lag_s=lag_s,
        )
        with self._lock:
            self._in_hand[job] -= 1
            self._news[job] = _sum(self._news.get(job, JobDelta()), told)
        self._write(now, is_urgent=has_failed)

    def flush(self, now: datetime) -> None:
        """Write what is left, before the process ends."""
        self._write(now, is_last=True)

    def _write(self, now: datetime, *, is_urgent: bool = False, is_last: bool = False) -> None:
        with self._lock:
            is_hurried = is_last or (is_urgent and not self._is_refused)
            if not (is_hurried or self._is_time(now)):
                return
            news, self._news = self._news, {}
            self._written = time.monotonic(), now
            idle = [] if is_last else [name for name in self._names if self._in_hand[name] <= 0]
        told = {name: JobDelta() for name in idle} | news
        if not told:
            return
        self._is_refused = not self._has_written(told, now)
        if self._is_refused:
            self._take_back(news)

    def _has_written(self, told: Mapping[str, JobDelta], now: datetime) -> bool:
        try:
            if database.pending_upgrades():
                # There may be no place for them yet, and whoever runs the jobs says so.
                return False
            job_stats.add(told, now, {job: self._patience_of(job) for job in told})
        except (StoreUnavailable, PeeweeException):
            _log.exception("job_figures_unwritten")
            return False
        return True

    def _patience_of(self, job: str) -> int:
        return max(self._usual_patience_s, ceil(self._patience_s.get(job, 0)))

    def _is_time(self, now: datetime) -> bool:
        """Whether 5 s have passed by either clock: ours may have leapt."""
        if self._written is None:
            return True
        at_s, at = self._written
        return time.monotonic() - at_s >= EVERY.total_seconds() or abs(now - at) >= EVERY

    def _take_back(self, news: Mapping[str, JobDelta]) -> None:
        with self._lock:
            for job, told in news.items():
                later = self._news.get(job)
                self._news[job] = _sum(told, later) if later else told


def _sum(earlier: JobDelta, later: JobDelta) -> JobDelta:
    lags = [each.last_lag_s for each in (earlier, later) if each.last_lag_s is not None]
    last = later if later.runs else earlier
    return replace(
        last,
        runs=earlier.runs + later.runs,
        failed_runs=earlier.failed_runs + later.failed_runs,
        seconds=earlier.seconds + later.seconds,
        done=earlier.done + later.done,
        failed=earlier.failed + later.failed,
        last_lag_s=max(lags, default=None),
    )

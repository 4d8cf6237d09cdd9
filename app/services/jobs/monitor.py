"""Records runs and heartbeats of jobs, which `/readyz` and `/metrics` read."""

import threading
import time
from datetime import datetime, timedelta
from math import ceil

import structlog

from app.errors import OutcomeUnknown, StoreUnavailable
from app.services.jobs.result import Job, JobResult
from app.store import job_stats
from app.store.db import errors
from app.store.job_stats import JobDelta

HEARTBEAT_EVERY_S = 5.0
# Runs that found nothing to do are written together, so that an idle system seldom waits for its
# disk. The last of them are not counted when the process ends.
IDLE_WRITTEN_EVERY = timedelta(seconds=HEARTBEAT_EVERY_S)
# Seconds without a heartbeat before a job counts as hung.
PATIENCE_S = 60
# From cron, a run every ten minutes is enough.
PATIENCE_BETWEEN_PROCESSES_S = 600

_log = structlog.get_logger("mindsum")


class JobMonitor:
    """The jobs of one process; any thread may call it."""

    def __init__(self, *, is_resident: bool = True, has_heartbeat: bool = True) -> None:
        self._is_resident = is_resident
        self._has_heartbeat = has_heartbeat
        self._written_s: dict[str, float] = {}
        self._unwritten: dict[str, JobDelta] = {}
        # When a run was written that found nothing to do; only where it was the job's last.
        self._idle_since: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def start(self, job: Job, now: datetime) -> None:
        if self._is_resident and job.every_s > HEARTBEAT_EVERY_S:
            # Until now its heartbeat was allowed to be as old as the wait between two runs.
            self._write(job, JobDelta(), now, self._patience_s(job))

    def progress(self, job: Job, now: datetime) -> None:
        written_s = self._written_s.get(job.name)
        if written_s is None or time.monotonic() - written_s >= HEARTBEAT_EVERY_S:
            self._write(job, JobDelta(), now, self._patience_s(job))

    def finish(
        self, job: Job, result: JobResult, *, took_s: float, now: datetime, has_failed: bool
    ) -> None:
        # A run that failed may not know how late it is.
        lag_s = None if has_failed else 0.0
        if result.oldest_at:
            lag = now - timedelta(seconds=took_s) - result.oldest_at
            lag_s = max(lag.total_seconds(), 0.0)
        delta = JobDelta(
            runs=1,
            failed_runs=int(has_failed),
            seconds=took_s,
            done=result.done,
            failed=result.failed,
            last_finished_at=now,
            last_took_s=took_s,
            last_lag_s=lag_s,
        )
        is_idle = self._is_resident and not has_failed and result == JobResult()
        if is_idle and self._is_written_soon(job, now):
            self._keep(job.name, delta)
            return
        if not is_idle:
            self._idle_since.pop(job.name, None)
        until_next_run_s = job.every_s if self._is_resident else 0
        self._write(job, delta, now, self._patience_s(job) + until_next_run_s)

    def _is_written_soon(self, job: Job, now: datetime) -> bool:
        since = self._idle_since.get(job.name)
        if since is not None and timedelta(0) <= now - since < IDLE_WRITTEN_EVERY:
            return True
        self._idle_since[job.name] = now
        return False

    def _keep(self, name: str, delta: JobDelta) -> None:
        with self._lock:
            self._unwritten[name] = self._unwritten.get(name, JobDelta()) + delta

    def _patience_s(self, job: Job) -> float:
        usual_s = PATIENCE_S if self._is_resident else PATIENCE_BETWEEN_PROCESSES_S
        return max(usual_s, job.patience_s)

    def _write(self, job: Job, delta: JobDelta, now: datetime, patience_s: float) -> None:
        self._written_s[job.name] = time.monotonic()
        with self._lock:
            delta = self._unwritten.pop(job.name, JobDelta()) + delta
        try:
            job_stats.add(job.name, delta, now, ceil(patience_s), is_heartbeat=self._has_heartbeat)
        except (StoreUnavailable, *errors.DATABASE_ERRORS) as error:
            # Statistics are not worth failing a job. The next write adds them, so that runs which
            # failed because the database was away are counted; unless they may have been stored.
            if not isinstance(error, OutcomeUnknown):
                self._keep(job.name, delta)
            _log.error("job_figures_unwritten", job=job.name, why=errors.reason(error))

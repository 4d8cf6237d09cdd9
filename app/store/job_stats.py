"""Statistics and heartbeats of jobs: one row per job, to which every scheduler adds."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from peewee import EXCLUDED, fn

from app.store.db.database import in_transaction
from app.store.models import JobStatistics


@dataclass(frozen=True, slots=True)
class JobDelta:
    """What a run adds to its job's row; the `last_*` replace what is there unless they are None.

    `last_lag_s`: seconds by which the most overdue item was late.
    """

    runs: int = 0
    failed_runs: int = 0
    seconds: float = 0.0
    done: int = 0
    failed: int = 0
    last_finished_at: datetime | None = None
    last_took_s: float | None = None
    last_lag_s: float | None = None

    def __add__(self, later: "JobDelta") -> "JobDelta":
        return JobDelta(
            runs=self.runs + later.runs,
            failed_runs=self.failed_runs + later.failed_runs,
            seconds=self.seconds + later.seconds,
            done=self.done + later.done,
            failed=self.failed + later.failed,
            last_finished_at=later.last_finished_at or self.last_finished_at,
            last_took_s=self.last_took_s if later.last_took_s is None else later.last_took_s,
            last_lag_s=self.last_lag_s if later.last_lag_s is None else later.last_lag_s,
        )


_ADDED = (
    JobStatistics.runs,
    JobStatistics.failed_runs,
    JobStatistics.seconds,
    JobStatistics.done,
    JobStatistics.failed,
)
_LATEST = (JobStatistics.last_finished_at, JobStatistics.last_took_s, JobStatistics.last_lag_s)
_REPLACED = (JobStatistics.alive_at, JobStatistics.patience_s)
_PROBE = "probe"


@in_transaction
def add(
    name: str, delta: JobDelta, now: datetime, patience_s: int, *, is_heartbeat: bool = True
) -> None:
    """Add to a job's row, and set its heartbeat to `now` if it `is_heartbeat` or the first.

    `patience_s`: seconds without a heartbeat before the job counts as hung.
    """
    row = {"name": name, "alive_at": now, "patience_s": patience_s, **asdict(delta)}
    update: dict[Any, Any] = {field: field + _new(field) for field in _ADDED}
    update |= {field: fn.COALESCE(_new(field), field) for field in _LATEST}
    if is_heartbeat:
        update |= {field: _new(field) for field in _REPLACED}
    JobStatistics.insert(row).on_conflict(
        conflict_target=[JobStatistics.name], update=update
    ).execute()


@in_transaction
def try_adding(now: datetime) -> None:
    """Raises what the database raises; leaves nothing behind."""
    add(_PROBE, JobDelta(), now, 0)
    JobStatistics.delete().where(JobStatistics.name == _PROBE).execute()


def all_jobs() -> list[JobStatistics]:
    return list(JobStatistics.select().order_by(JobStatistics.name))


def _new(field: Any) -> Any:
    return getattr(EXCLUDED, field.name)

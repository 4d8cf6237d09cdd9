"""How the jobs of the timetable fare: a row each, which all schedulers add to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import EXCLUDED, fn

from app.store.db.database import in_transaction
from app.store.models import JobFigures


@dataclass(frozen=True, slots=True)
class JobDelta:
    """What a process has to add to a job's row; the `last_*` are None where no run has ended.

    `last_lag_s` is how overdue the oldest thing was, in seconds; the most of these runs.
    """

    runs: int = 0
    failed_runs: int = 0
    seconds: float = 0.0
    done: int = 0
    failed: int = 0
    last_finished_at: datetime | None = None
    last_took_s: float | None = None
    last_lag_s: float | None = None


_ADDED = (
    JobFigures.runs,
    JobFigures.failed_runs,
    JobFigures.seconds,
    JobFigures.done,
    JobFigures.failed,
)
_LATEST = (JobFigures.last_finished_at, JobFigures.last_took_s, JobFigures.last_lag_s)
_STIRRED = (JobFigures.alive_at, JobFigures.patience_s)
_NOBODY = "nobody"


@in_transaction
def add(news: Mapping[str, JobDelta], now: datetime, patience_s: Mapping[str, int]) -> None:
    """Add to the rows of these jobs, which are alive at `now`, whoever else adds to them.

    `patience_s` is for how many seconds from now on nobody need wonder at the silence of each.
    """
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            **{field.name: getattr(told, field.name) for field in (*_ADDED, *_LATEST)},
            "alive_at": now,
            "patience_s": patience_s[name],
        }
        # Each scheduler takes the rows in this order, or two could wait for one another.
        for name, told in sorted(news.items())
    ]
    update: dict[Any, Any] = {field: field + _new(field) for field in _ADDED}
    update |= {field: fn.COALESCE(_new(field), field) for field in _LATEST}
    update |= {field: _new(field) for field in _STIRRED}
    JobFigures.insert_many(rows).on_conflict(
        conflict_target=[JobFigures.name], update=update
    ).execute()


@in_transaction
def try_adding(now: datetime) -> None:
    """Write just as a job's news are written, and leave nothing. Raises what the database says."""
    add({_NOBODY: JobDelta()}, now, {_NOBODY: 0})
    JobFigures.delete().where(JobFigures.name == _NOBODY).execute()


def figures() -> list[JobFigures]:
    """The rows of all jobs that any scheduler ever told of, by name."""
    return list(JobFigures.select().order_by(JobFigures.name))


def _new(field: Any) -> Any:
    return getattr(EXCLUDED, field.name)

"""Health checks of the service, and the metrics that operators watch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import PeeweeException

from app import config
from app.errors import NotesKeyWrong, StoredTextMoved, StoreUnavailable
from app.store import attempts, job_stats, outbox, queries
from app.store.db import database, errors
from app.store.models import Booking, JobStatistics, OutboxEmail, OutboxStatus, Outcome, Writing
from app.store.queries import metrics

_OF_THE_DOOR = "process_inbound"

# The outbox is stuck once an email has waited for this long and none was sent.
OUTBOX_STUCK_AFTER = timedelta(minutes=10)
NO_HEARTBEAT_POSSIBLE = "cannot be judged while the database cannot be written"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    is_ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """`levels`: counts, and ages in seconds, by name. `moves`: (event, via, count)."""

    levels: dict[str, float]
    emails: dict[OutboxStatus, int]
    outcomes: dict[Outcome, int]
    moves: list[tuple[str, str, int]]
    jobs: list[JobStatistics]


def checks(now: datetime, *, tries_writing: bool = False) -> list[Check]:
    """Database, schema, notes, scheduler and outbox; only the first two if the schema is not ours.

    Whether the database can be written is tried with `tries_writing`, or if the scheduler fails
    its check. Raises StoreUnavailable or a database error if the database does not answer.
    """
    db, schema = Check("database", is_ok=True, says="answers"), _schema()
    if not schema.is_ok:
        return [db, schema]
    scheduler = _scheduler(now)
    write_error = _write_error(now) if tries_writing or not scheduler.is_ok else None
    if write_error is not None:
        db = Check("database", is_ok=False, says=f"cannot be written: {write_error}")
        if not scheduler.is_ok:
            scheduler = Check("scheduler", is_ok=False, says=NO_HEARTBEAT_POSSIBLE)
    return [db, schema, _notes(), scheduler, _outbox(now)]


def collect_metrics(now: datetime) -> Metrics | None:
    """None if the schema is not the code's. Raises StoreUnavailable or a database error."""
    if database.schema_fault():
        return None
    jobs = _jobs()
    return Metrics(_levels(now, jobs), metrics.emails(), attempts.counts(), metrics.moves(), jobs)


def _levels(now: datetime, jobs: list[JobStatistics]) -> dict[str, float]:
    overdue = Booking.select().where(queries.overdue_expiry(now)).count()
    waiting = metrics.longest_waiting()
    levels = {
        "enquiries_open": float(Booking.select().where(queries.REQUESTED).count()),
        "enquiries_overdue": float(overdue),
        "outbox_due": float(outbox.due_count(now)),
        "outbox_held": float(outbox.held_since() is not None),
        "outbox_oldest_due_age_seconds": _waited_s(waiting, now) if waiting else 0.0,
    }
    if jobs:
        last_at = max(job.alive_at for job in jobs)
        levels["scheduler_heartbeat_age_seconds"] = (now - last_at).total_seconds()
    return levels


def _schema() -> Check:
    if fault := database.schema_fault():
        return Check("schema", is_ok=False, says=fault)
    return Check("schema", is_ok=True, says="is current")


def _write_error(now: datetime) -> str | None:
    """The database's words if it refuses a heartbeat; None if it takes it."""
    try:
        job_stats.try_adding(now)
    except (StoreUnavailable, PeeweeException) as error:
        return errors.reason(error)
    return None


def _notes() -> Check:
    try:
        for order in (Writing.id, Writing.id.desc()):
            writing = Writing.select().order_by(order).first()
            # Reading decrypts.
            _ = writing and writing.body
    except (NotesKeyWrong, StoredTextMoved) as error:
        return Check("notes", is_ok=False, says=str(error))
    return Check("notes", is_ok=True, says="can be read")


def _scheduler(now: datetime) -> Check:
    jobs = _jobs()
    if not jobs:
        return Check("scheduler", is_ok=False, says="has never run; start: python scheduler.py")
    latest = min(jobs, key=lambda job: abs(_age_s(job, now)))
    # Each row says how long its job may be silent: one that runs often or from cron, or waits for
    # an hour. The scheduler as a whole is missed as soon as its most frequent job would be.
    if abs(_age_s(latest, now)) > min(job.patience_s for job in jobs):
        return Check("scheduler", is_ok=False, says=_last_seen(latest, now))
    hanging = "; ".join(
        f"job {job.name} has not finished for {abs(_age_s(job, now)):.0f} s"
        for job in jobs
        if abs(_age_s(job, now)) > job.patience_s
    )
    if hanging:
        return Check("scheduler", is_ok=False, says=f"{hanging}: it hangs; restart the scheduler")
    return Check("scheduler", is_ok=True, says=_last_seen(latest, now))


def _jobs() -> list[JobStatistics]:
    """Those that should run: where the mail door was closed, its job is silent for good."""
    is_closed = config.current().inbound_domain is None
    return [job for job in job_stats.all_jobs() if not (is_closed and job.name == _OF_THE_DOOR)]


def _last_seen(job: JobStatistics, now: datetime) -> str:
    age_s = _age_s(job, now)
    if age_s < -1:
        return f"its clock is {-age_s:.0f} s ahead of ours"
    return f"was alive {max(age_s, 0):.0f} s ago"


def _age_s(job: JobStatistics, now: datetime) -> float:
    # Negative if the clock was set back: the scheduler waits until it passes the old time.
    return (now - job.alive_at).total_seconds()


def _outbox(now: datetime) -> Check:
    waiting = metrics.longest_waiting()
    says = f"oldest waits {_waited_s(waiting, now):.0f} s" if waiting else "has nothing waiting"
    fault = _outbox_fault(now)
    if outbox.held_since() is not None:
        says += f"; it is held: look, then run: {_command()} outbox release"
    elif fault:
        says += f"; {fault}"
    elif waiting and _waited_s(waiting, now) > OUTBOX_STUCK_AFTER.total_seconds():
        says += f"; it is not stuck; look: {_command()} outbox show {waiting.id}"
    return Check("outbox", fault is None, says)


def _outbox_fault(now: datetime) -> str | None:
    """Why the outbox is stuck, and which command shows more; None if it is not stuck."""
    since = now - OUTBOX_STUCK_AFTER
    late = metrics.waiting_since(since)
    if not late.addresses or attempts.has_sent_between(since, now):
        return None
    none_was_sent = f"none was sent for {OUTBOX_STUCK_AFTER // timedelta(minutes=1)} min"
    if late.not_put_off is not None:
        return f"{none_was_sent}; look: {_command()} outbox show {late.not_put_off}"
    # If the server has taken other emails since, then it is only these addresses that it defers.
    has_sent_others = late.all_tried_at is not None and attempts.has_sent_between(
        late.all_tried_at, now
    )
    if late.addresses == 1 or has_sent_others:
        return None
    deferred = f"{late.addresses} addresses are deferred"
    return f"{none_was_sent}: {deferred}; look: {_command()} outbox list"


def _command() -> str:
    return config.current().command


def _waited_s(email: OutboxEmail, now: datetime) -> float:
    return max((now - email.created_at).total_seconds(), 0.0)

"""Whether the house is in order, and the figures that ops watch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.store import attempts, counts, database, jobs, outbox, queries
from app.store.models import Booking, JobFigures, OutboxEmail, OutboxStatus, Outcome

OUTBOX_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so, and how it is."""

    name: str
    is_ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What ops watch, as of one moment.

    `levels` are counts and ages in seconds by name; an age is absent where there is nothing to be
    old. `moves` are (what happened, through which door, how often).
    """

    levels: dict[str, float]
    emails: dict[OutboxStatus, int]
    outcomes: dict[Outcome, int]
    moves: list[tuple[str, str, int]]
    jobs: list[JobFigures]


def checks(now: datetime) -> list[Check]:
    """Schema, scheduler and outbox, one by one; the schema alone where it is not current.

    Raises StoreUnavailable or a database error where the database does not answer.
    """
    schema = _schema()
    return [schema, _scheduler(now), _outbox(now)] if schema.is_ok else [schema]


def figures(now: datetime) -> Figures | None:
    """The figures; None where the schema is not current, so that they cannot be had.

    Raises StoreUnavailable or a database error where the database does not answer.
    """
    if database.pending_upgrades():
        return None
    told = jobs.figures()
    return Figures(_levels(now, told), counts.emails(), attempts.counts(), counts.moves(), told)


def _levels(now: datetime, told: list[JobFigures]) -> dict[str, float]:
    overdue = Booking.select().where(queries.overdue_expiry(now)).count()
    waiting = counts.longest_waiting()
    found = {
        "enquiries_open": float(Booking.select().where(queries.REQUESTED).count()),
        "enquiries_overdue": float(overdue),
        "outbox_due": float(outbox.due_count(now)),
        "outbox_held": float(outbox.held_since() is not None),
        "outbox_oldest_due_age_seconds": _waited_s(waiting, now) if waiting else 0.0,
    }
    if told:
        last_at = max(job.alive_at for job in told)
        found["scheduler_heartbeat_age_seconds"] = (now - last_at).total_seconds()
    return found


def _schema() -> Check:
    if database.pending_upgrades():
        return Check("schema", is_ok=False, says="waits for upgrades; run: mindsum db upgrade")
    return Check("schema", is_ok=True, says="is current")


def _scheduler(now: datetime) -> Check:
    """Whether a scheduler is alive, and none of its jobs hangs.

    Each job says itself for how long it may be silent: a minute where a scheduler runs all the
    time; ten where it is run by `--once`, for then there is nobody to be alive in between. So a
    house kept by cron is ready if cron comes every ten minutes or oftener (every minute keeps the
    promise that standing is applied within one).
    """
    told = jobs.figures()
    if not told:
        return Check("scheduler", is_ok=False, says="has never run; start: python scheduler.py")
    last = min(told, key=lambda job: abs(_age_s(job, now)))
    if _is_silent(last, now):
        return Check("scheduler", is_ok=False, says=_last_seen(last, now))
    hanging = [job for job in told if _is_silent(job, now)]
    if hanging:
        named = "; ".join(
            f"job {job.name} has not finished for {abs(_age_s(job, now)):.0f} s" for job in hanging
        )
        return Check("scheduler", is_ok=False, says=f"{named}: it hangs; restart the scheduler")
    return Check("scheduler", is_ok=True, says=_last_seen(last, now))


def _last_seen(job: JobFigures, now: datetime) -> str:
    age_s = _age_s(job, now)
    if age_s < -1:
        return f"its clock is {-age_s:.0f} s ahead of ours"
    return f"was alive {max(age_s, 0):.0f} s ago"


def _age_s(job: JobFigures, now: datetime) -> float:
    return (now - job.alive_at).total_seconds()


def _is_silent(job: JobFigures, now: datetime) -> bool:
    # A job that stirred in times to come has been silent since the clock went back.
    return abs(_age_s(job, now)) > job.patience_s


def _outbox(now: datetime) -> Check:
    """Whether emails leave: some may wait, for an address may put them off, but not all."""
    waiting = counts.longest_waiting()
    if waiting is None:
        return Check("outbox", is_ok=True, says="has nothing waiting")
    waited_s = _waited_s(waiting, now)
    is_late = waited_s > OUTBOX_WITHIN.total_seconds()
    # Where the server answered about the recipient, it is the address that waits, not the outbox.
    is_about_address = (waiting.last_error or "").startswith("recipient:")
    was_sent = attempts.has_sent_between(now - OUTBOX_WITHIN, now)
    is_stuck = is_late and not was_sent and not is_about_address
    says = f"oldest waits {waited_s:.0f} s"
    if outbox.held_since() is not None:
        says += "; it is held: look, then run: mindsum outbox release"
    elif is_stuck:
        says += f"; none was sent for 10 min; look: mindsum outbox show {waiting.id}"
    elif is_late:
        says += f"; it is not stuck; look: mindsum outbox show {waiting.id}"
    return Check("outbox", not is_stuck, says)


def _waited_s(email: OutboxEmail, now: datetime) -> float:
    return max((now - email.created_at).total_seconds(), 0.0)

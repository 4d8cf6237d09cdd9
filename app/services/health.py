"""Whether the house is in order, and the figures that ops watch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.store import database, heartbeat, outbox, queries
from app.store.models import Booking

HEARTBEAT_WITHIN = timedelta(seconds=60)
OUTBOX_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so, and how it is."""

    name: str
    is_ok: bool
    says: str


def checks(now: datetime) -> list[Check]:
    """Schema, scheduler and outbox, one by one; the schema alone where it is not current.

    Raises StoreUnavailable or a database error where the database does not answer.
    """
    schema = _schema()
    return [schema, _scheduler(now), _outbox(now)] if schema.is_ok else [schema]


def figures(now: datetime) -> dict[str, float]:
    """Counts and ages in seconds by name; an age is absent where there is nothing to be old."""
    overdue = Booking.select().where(queries.overdue_expiry(now)).count()
    found = {
        "enquiries_open": float(Booking.select().where(queries.REQUESTED).count()),
        "enquiries_overdue": float(overdue),
        "outbox_due": float(outbox.due_count(now)),
    }
    beat_at, due_at = heartbeat.last_beat("scheduler"), outbox.oldest_due_at(now)
    if beat_at is not None:
        found["scheduler_heartbeat_age_seconds"] = (now - beat_at).total_seconds()
    found["outbox_oldest_due_age_seconds"] = (now - (due_at or now)).total_seconds()
    return found


def _schema() -> Check:
    if database.pending_upgrades():
        return Check("schema", is_ok=False, says="waits for upgrades; run: mindsum db upgrade")
    return Check("schema", is_ok=True, says="is current")


def _scheduler(now: datetime) -> Check:
    beat_at = heartbeat.last_beat("scheduler")
    if beat_at is None:
        return Check("scheduler", is_ok=False, says="has never run")
    age = now - beat_at
    return Check(
        "scheduler", age <= HEARTBEAT_WITHIN, f"was alive {max(age.total_seconds(), 0):.0f} s ago"
    )


def _outbox(now: datetime) -> Check:
    due_at = outbox.oldest_due_at(now)
    if due_at is None:
        return Check("outbox", is_ok=True, says="has nothing waiting")
    age = now - due_at
    says = f"oldest waits {age.total_seconds():.0f} s"
    if outbox.held_since() is not None:
        says += "; it is held: look, then run: mindsum outbox release"
    return Check("outbox", age <= OUTBOX_WITHIN, says)

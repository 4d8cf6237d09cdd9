"""What the demo's clock page reads: what is due next, and what happened last."""

from datetime import datetime

from peewee import Expression, Field

from app.store.db.statements import Statement
from app.store.models import Booking, OutboxEmail, OutboxStatus, TimelineEntry
from app.store.models.base import Table
from app.store.queries.bookings import ACCEPTED, REQUESTED

_QUEUED = OutboxEmail.status == OutboxStatus.QUEUED
_DUE_COLUMNS = (
    (Booking, Booking.reminder_due_at, REQUESTED),
    (Booking, Booking.late_due_at, REQUESTED),
    (Booking, Booking.expires_at, REQUESTED),
    (Booking, Booking.reminder_due_at, ACCEPTED & Booking.proposed_until.is_null(False)),
    (Booking, Booking.proposed_until, ACCEPTED),
    (Booking, Booking.day_reminder_due_at, ACCEPTED),
    (Booking, Booking.hour_reminder_due_at, ACCEPTED),
    (Booking, Booking.completes_at, ACCEPTED),
    (OutboxEmail, OutboxEmail.due_at, _QUEUED),
)


def _soonest(
    table: type[Table], column: Field, condition: Expression
) -> Statement[tuple[datetime]]:
    return Statement(
        lambda now: (
            table.select(column).where(condition, column > now).order_by(column).limit(1).tuples()
        )
    )


_SOONEST = [(each[1].name, _soonest(*each)) for each in _DUE_COLUMNS]


def next_due(now: datetime) -> tuple[datetime, str] | None:
    """The first instant after `now` at which the scheduler has something to do, and its column."""
    found = ((statement.first(now), name) for name, statement in _SOONEST)
    return min(((row[0], name) for row, name in found if row is not None), default=None)


def next_due_at(now: datetime) -> datetime | None:
    due = next_due(now)
    return due[0] if due else None


def newest_timeline_entries(limit: int) -> list[TimelineEntry]:
    entries = TimelineEntry.select(TimelineEntry, Booking).join(Booking)
    return list(entries.order_by(TimelineEntry.id.desc()).limit(limit))

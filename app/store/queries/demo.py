"""What the demo's clock page reads: what is due next, and what happened last."""

from datetime import datetime

from peewee import fn

from app.store.models import Booking, OutboxEmail, OutboxStatus, TimelineEntry
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


def next_due_at(now: datetime) -> datetime | None:
    """The first instant after `now` at which the scheduler has something to do."""
    soonest = (
        table.select(fn.MIN(column)).where(condition, column > now).scalar()
        for table, column, condition in _DUE_COLUMNS
    )
    return min((at for at in soonest if at is not None), default=None)


def newest_timeline_entries(limit: int) -> list[TimelineEntry]:
    entries = TimelineEntry.select(TimelineEntry, Booking).join(Booking)
    return list(entries.order_by(TimelineEntry.id.desc()).limit(limit))

"""What the demo's clock panel reads: what will be due next, and what was written last."""

from datetime import datetime

from peewee import fn

from app.store.models import Booking, OutboxEmail, OutboxStatus, TimelineEntry
from app.store.queries import ACCEPTED, REQUESTED

_QUEUED = OutboxEmail.status == OutboxStatus.QUEUED
_WAITS = (
    (Booking, Booking.reminder_due_at, REQUESTED),
    (Booking, Booking.late_due_at, REQUESTED),
    (Booking, Booking.expires_at, REQUESTED),
    (Booking, Booking.day_reminder_due_at, ACCEPTED),
    (Booking, Booking.hour_reminder_due_at, ACCEPTED),
    (Booking, Booking.completes_at, ACCEPTED),
    (OutboxEmail, OutboxEmail.due_at, _QUEUED),
)


def next_due_at(now: datetime) -> datetime | None:
    """The first instant after `now` at which the scheduler has something to do; None if none."""
    soonest = (
        table.select(fn.MIN(column)).where(condition, column > now).scalar()
        for table, column, condition in _WAITS
    )
    return min((at for at in soonest if at is not None), default=None)


def latest_timeline(limit: int) -> list[TimelineEntry]:
    """The lines written last on any booking's timeline, each with its booking; newest first."""
    lines = TimelineEntry.select(TimelineEntry, Booking).join(Booking)
    return list(lines.order_by(TimelineEntry.id.desc()).limit(limit))

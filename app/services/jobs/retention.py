"""Removes what people wrote and what was sent, once RETENTION_MONTHS have passed since."""

from calendar import monthrange
from datetime import datetime

from peewee import Expression

from app import config
from app.rules.lifecycle import LIVE
from app.services.jobs.result import JobResult, PartialResults
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import (
    Booking,
    DeliveryAttempt,
    OutboxEmail,
    Purpose,
    TimelineEntry,
    Writing,
)

# Small, so that other writers wait for milliseconds.
BATCH = 100
# Of a timeline's facts, those that are no numbers of a rule: nothing needs them once it is over.
_WORDS = frozenset({"organizer", "therapist_given_name", "therapist_timezone"})


def clear(now: datetime) -> PartialResults:
    """Of clients who have no live booking, and of bookings that ended so long ago."""
    settings = config.current()
    if settings.retention_months is not None:
        before = months_before(now, settings.retention_months)
        while cleared := _clear_bookings(before, now):
            yield JobResult(due=cleared, done=cleared)
    if settings.retention_private_notes_months is not None:
        before = months_before(now, settings.retention_private_notes_months)
        while cleared := _clear_private_notes(before):
            yield JobResult(due=cleared, done=cleared)


def months_before(now: datetime, months: int) -> datetime:
    """The same day of the month, or the month's last where it has no such day."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    last_day = monthrange(year, month + 1)[1]
    return now.replace(year=year, month=month + 1, day=min(now.day, last_day))


@in_transaction
def _clear_bookings(before: datetime, now: datetime) -> int:
    due = (
        Booking.select(Booking.id, Booking.client)
        .where(Booking.words_cleared_at.is_null(), _is_over(before))
        .order_by(Booking.ends_at)
        .limit(BATCH)
    )
    rows = list(due)
    ids = [each.id for each in rows]
    if not ids:
        return 0
    Writing.delete().where(
        Writing.booking.in_(ids), Writing.purpose != Purpose.PRIVATE_NOTE
    ).execute()
    _delete_emails(OutboxEmail.booking.in_(ids))
    links_sent = OutboxEmail.about.in_([f"links-{each.client_id}" for each in rows])
    _delete_emails(links_sent & (OutboxEmail.created_at < before))
    requested = TimelineEntry.select().where(
        TimelineEntry.booking.in_(ids), TimelineEntry.event == "requested"
    )
    for entry in list(requested):
        rest = {name: value for name, value in entry.facts.items() if name not in _WORDS}
        TimelineEntry.update(facts=rest).where(TimelineEntry.id == entry.id).execute()
    Booking.update(words_cleared_at=now, unread_since=None).where(Booking.id.in_(ids)).execute()
    return len(ids)


@in_transaction
def _clear_private_notes(before: datetime) -> int:
    due = (
        Writing.select(Writing.id)
        .join(Booking)
        .where(
            Writing.purpose == Purpose.PRIVATE_NOTE,
            Writing.created_at < before,
            _is_over(before),
        )
        .order_by(Writing.created_at)
        .limit(BATCH)
    )
    ids = [each.id for each in due]
    return int(Writing.delete().where(Writing.id.in_(ids)).execute()) if ids else 0


def _is_over(before: datetime) -> Expression:
    over: Expression = (
        (Booking.ends_at < before)
        & Booking.status.not_in(LIVE)
        & Booking.client.not_in(queries.clients_with_live_bookings())
    )
    return over


def _delete_emails(which: Expression) -> None:
    # The attempts stay, because counters must not decrease; what the servers answered goes.
    numbers = OutboxEmail.select(OutboxEmail.id).where(which)
    DeliveryAttempt.update(said=None).where(DeliveryAttempt.email.in_(numbers)).execute()
    OutboxEmail.delete().where(which).execute()

"""Calendar feeds: one by its secret or therapist, and the sessions that it holds."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from peewee import fn

from app.rules.lifecycle import Status
from app.store.db.statements import Statement
from app.store.models import Booking, CalendarFeed, Therapist, TimelineEntry
from app.store.queries.bookings import REQUESTED

# They stay in the calendar, confirmed.
_TAKE_PLACE = (Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW)
# What changes an entry that is shown, beside the request.
_CHANGES = ("accepted", "moved")


class FeedRow(NamedTuple):
    reference: str
    client_name: str
    starts_at: datetime
    ends_at: datetime
    is_confirmed: bool
    sequence: int
    changed_at: datetime


_BY_SECRET = Statement[CalendarFeed](
    lambda secret_hash: (
        CalendarFeed.select(CalendarFeed, Therapist)
        .join(Therapist)
        .where(CalendarFeed.secret_hash == secret_hash)
    )
)
_OF_THERAPIST = Statement[CalendarFeed](
    lambda therapist: CalendarFeed.select().where(CalendarFeed.therapist == therapist)
)


def feed_by_secret_hash(secret_hash: str) -> CalendarFeed | None:
    """With its therapist."""
    return _BY_SECRET.first(secret_hash)


def feed_of(therapist: Therapist) -> CalendarFeed | None:
    return _OF_THERAPIST.first(therapist.id)


def _sessions(therapist: Any, since: Any, now: Any, limit: Any) -> Any:
    changed_at = TimelineEntry.select(fn.MAX(TimelineEntry.at)).where(
        TimelineEntry.booking == Booking.id, TimelineEntry.event.in_(_CHANGES)
    )
    is_shown = Booking.status.in_(_TAKE_PLACE) | (REQUESTED & (Booking.expires_at > now))
    return (
        Booking.select(
            Booking.reference,
            Booking.client_given_name,
            Booking.starts_at,
            Booking.ends_at,
            Booking.status,
            Booking.sequence,
            Booking.requested_at,
            changed_at,
        )
        .where(Booking.therapist == therapist, Booking.starts_at >= since, is_shown)
        .order_by(Booking.starts_at, Booking.id)
        .limit(limit)
        .tuples()
    )


_SESSIONS = Statement[Any](_sessions)


def feed_rows(
    therapist: Therapist, since: datetime, now: datetime, limit: int
) -> Iterator[FeedRow]:
    """Enquiries and sessions that start at `since` or later, as they come."""
    for row in _SESSIONS.each(therapist.id, since, now, limit):
        reference, name, starts_at, ends_at, status, sequence, requested_at, changed_us = row
        changed_at = Booking.requested_at.python_value(changed_us) or requested_at
        is_confirmed = status in _TAKE_PLACE
        yield FeedRow(reference, name, starts_at, ends_at, is_confirmed, sequence, changed_at)

"""A therapist's meeting link changes: both sides of each session ahead get a newer entry."""

from datetime import datetime

from app.rules.lifecycle import Move
from app.services.bookings import log
from app.services.bookings.transitions import EMAILS
from app.store import outbox, queries
from app.store.models import Booking, Therapist


def announce(therapist: Therapist, now: datetime) -> None:
    """In the transaction that changed the link of a locked therapist."""
    for booking in queries.upcoming_sessions_of(therapist, now):
        if booking.starts_at > now:
            _announce(booking, now)


def _announce(booking: Booking, now: datetime) -> None:
    # The kinds that brought the entry bring the newer one.
    booking.sequence += 1
    Booking.update(sequence=booking.sequence).where(Booking.id == booking.id).execute()
    for kind, role in EMAILS[Move.ACCEPT]:
        outbox.enqueue(
            kind,
            role,
            booking=booking,
            ordinal=outbox.random_ordinal(),
            facts={"sequence": booking.sequence, "has_new_link": True},
            now=now,
        )
    log.booking_event("meeting_link_changed", booking)

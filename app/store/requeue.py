"""Requeue emails: retry failed ones, or restart after an address change."""

from datetime import datetime

from app.store import suppressions
from app.store.db.database import in_transaction
from app.store.models import Booking, OutboxEmail, OutboxStatus, Role, Therapist


@in_transaction
def retry(email_id: int | None, now: datetime) -> int:
    """Queue one failed email, or all of them (None), again; returns how many.

    Their addresses are tried again even where a mail server refused them for good.
    """
    failed = OutboxEmail.status == OutboxStatus.FAILED
    which = failed if email_id is None else failed & (OutboxEmail.id == email_id)
    suppressions.lift(which)
    return int(
        OutboxEmail.update(
            status=OutboxStatus.QUEUED,
            due_at=now,
            attempts=0,
            first_tried_at=None,
            settled_at=None,
            last_error=None,
        )
        .where(which)
        .execute()
    )


@in_transaction
def begin_anew(therapist: Therapist, now: datetime) -> None:
    """Try at once, and as if for the first time, what waits for a therapist."""
    bookings = Booking.select(Booking.id).where(Booking.therapist == therapist)
    theirs = (OutboxEmail.therapist == therapist) | OutboxEmail.booking.in_(bookings)
    waits = (OutboxEmail.role == Role.THERAPIST) & (OutboxEmail.status == OutboxStatus.QUEUED)
    anew = {"due_at": now, "attempts": 0, "first_tried_at": None}
    OutboxEmail.update(anew).where(theirs, waits).execute()

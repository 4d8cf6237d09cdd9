"""Emails that are to be tried sooner than they would be: for ops, for an address, for a clock."""

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


@in_transaction
def bring_forward(now: datetime, *, queued_after: datetime, sending_after: datetime) -> int:
    """Make due at once what is due later than that, by a clock that has gone back; how many."""
    due_at, status = OutboxEmail.due_at, OutboxEmail.status
    queued = (status == OutboxStatus.QUEUED) & (due_at > queued_after)
    sending = (status == OutboxStatus.SENDING) & (due_at > sending_after)
    if not OutboxEmail.select().where(queued | sending).exists():
        return 0
    return int(OutboxEmail.update(due_at=now).where(queued | sending).execute())

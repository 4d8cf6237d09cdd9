"""The time that a request holds before its address is confirmed."""

from datetime import datetime

from app import config
from app.rules import availability
from app.services import limits
from app.store.models import HeldTime, PendingRequest, Therapist
from app.store.models.outbox import CONFIRM_REQUEST
from app.store.queries import pending as pending_requests


def hold_if_allowed(
    pending: PendingRequest, therapist: Therapist, *, until: datetime, now: datetime
) -> None:
    """Hold the time of a locked therapist, which is free, unless too much is held already."""
    # Requests of one address to several therapists are counted one at a time.
    limits.lock_emails(CONFIRM_REQUEST, pending.address_hash, now)
    # Beyond the limits a request is taken without holding, and no answer tells.
    of_therapist = pending_requests.holds_of_therapist(therapist, now)
    of_address = pending_requests.holds_of_address(pending.address_hash, now)
    if of_therapist >= limits.widened(limits.PENDING_PER_THERAPIST):
        return
    if of_address >= limits.widened(limits.PENDING_PER_ADDRESS):
        return
    cell_minutes = config.current().policy.cell_minutes
    cells = availability.cells(pending.starts_at, pending.ends_at, cell_minutes)
    HeldTime.insert_many(
        [{"therapist": therapist.id, "cell_at": cell, "pending": pending.id} for cell in cells]
    ).execute()
    _set_held_until(pending, until)


def release(pending: PendingRequest) -> None:
    HeldTime.delete().where(HeldTime.pending == pending).execute()
    _set_held_until(pending, None)


def release_ended(therapist: Therapist, now: datetime) -> int:
    """Free what pending requests of a locked therapist held until now; how many did."""
    ended = list(
        PendingRequest.select().where(
            PendingRequest.therapist == therapist, PendingRequest.held_until <= now
        )
    )
    for pending in ended:
        release(pending)
    return len(ended)


def _set_held_until(pending: PendingRequest, until: datetime | None) -> None:
    PendingRequest.update(held_until=until).where(PendingRequest.id == pending.id).execute()
    pending.held_until = until

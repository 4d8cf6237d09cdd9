"""The rows of a proposal, and the times that it holds while it is open."""

from collections.abc import Sequence
from datetime import datetime

from app import config
from app.rules import availability
from app.rules.lifecycle import Actor
from app.store import queries
from app.store.models import Booking, HeldTime, Proposal, ProposalEnd, ProposedTime


def open_(
    booking: Booking,
    starts: Sequence[datetime],
    *,
    by: Actor,
    until: datetime,
    was_free: bool,
    now: datetime,
) -> Proposal:
    """Raises IntegrityError if a time is held, or another proposal is open."""
    proposal: Proposal = Proposal.create(
        booking=booking,
        by=by,
        was_free=was_free,
        made_at=now,
        until=until,
    )
    length = booking.ends_at - booking.starts_at
    spans = [(starts_at, starts_at + length) for starts_at in starts]
    ProposedTime.insert_many(
        [
            {
                "proposal": proposal.id,
                "therapist": booking.therapist_id,
                "starts_at": starts_at,
                "ends_at": ends_at,
                "is_taken": False,
            }
            for starts_at, ends_at in spans
        ]
    ).execute()
    _hold(booking, proposal, spans)
    return proposal


def _hold(booking: Booking, proposal: Proposal, spans: Sequence[tuple[datetime, datetime]]) -> None:
    # Proposed times may overlap one another, and the time that the booking holds itself.
    minutes = config.current().policy.cell_minutes
    cells = {cell for span in spans for cell in availability.cells(*span, minutes)}
    cells -= set(availability.cells(booking.starts_at, booking.ends_at, minutes))
    rows = [
        {"therapist": booking.therapist_id, "cell_at": cell, "proposal": proposal.id}
        for cell in sorted(cells)
    ]
    if rows:
        HeldTime.insert_many(rows).execute()


def end(booking: Booking, how: ProposalEnd, at: datetime) -> Proposal | None:
    """End the open proposal of a locked booking, None if there is none, and free its times."""
    proposal = queries.open_proposal_of(booking)
    if proposal is None:
        return None
    proposal.outcome, proposal.ended_at = how, at
    proposal.save(only=["outcome", "ended_at"])
    HeldTime.delete().where(HeldTime.proposal == proposal).execute()
    Booking.update(proposed_by=None, proposed_until=None, reminder_due_at=None).where(
        Booking.id == booking.id
    ).execute()
    booking.proposed_by = None
    booking.proposed_until = booking.reminder_due_at = None
    return proposal


def refuse(booking: Booking, how: ProposalEnd, *, at: datetime, now: datetime) -> Proposal:
    """End a session's open proposal; a client who asked in time may cancel for a while."""
    proposal = end(booking, how, at)
    assert proposal is not None
    if proposal.by is Actor.CLIENT and proposal.was_free and how is not ProposalEnd.TAKEN_BACK:
        free_until = now + config.current().policy.cancel_after_refusal
        Booking.update(cancel_free_until=free_until).where(Booking.id == booking.id).execute()
        booking.cancel_free_until = free_until
    return proposal


def mark_taken(proposal: Proposal, starts_at: datetime) -> None:
    ProposedTime.update(is_taken=True).where(
        ProposedTime.proposal == proposal, ProposedTime.starts_at == starts_at
    ).execute()

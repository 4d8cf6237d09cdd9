"""Proposals of other times: the open one of a booking, what they hold, those made before."""

from datetime import datetime
from typing import Any

from peewee import Expression, ModelSelect

from app.store.models import Booking, Proposal, ProposedTime

# The id of no booking.
NO_BOOKING = 0


def proposed_holding(
    start: Any, end: Any, now: Any, except_booking: Any = NO_BOOKING
) -> Expression:
    """A condition on proposed times joined with their proposals."""
    condition: Expression = (
        Proposal.outcome.is_null()
        & (Proposal.until > now)
        & (ProposedTime.starts_at < end)
        & (ProposedTime.ends_at > start)
        & (Proposal.booking != except_booking)
    )
    return condition


def open_proposal_of(booking: Booking) -> Proposal | None:
    """As stored; it may have lapsed by the clock."""
    if booking.open_proposal is None:
        return None
    found: Proposal = Proposal.get(Proposal.booking == booking, Proposal.outcome.is_null())
    return found


def offered_times_of(booking: Booking) -> list[ProposedTime]:
    """The times of its open proposal, each with that, in their order."""
    times = ProposedTime.select(ProposedTime, Proposal).join(Proposal)
    offered = times.where(Proposal.booking == booking, Proposal.outcome.is_null())
    return list(offered.order_by(ProposedTime.starts_at))


def starts_of(proposal: Proposal) -> list[datetime]:
    return [each.starts_at for each in _times(proposal)]


def _times(proposal: Proposal) -> "ModelSelect[ProposedTime]":
    times = ProposedTime.select().where(ProposedTime.proposal == proposal)
    return times.order_by(ProposedTime.starts_at)


def last_proposal_of(booking: Booking) -> Proposal | None:
    found: Proposal | None = (
        Proposal.select().where(Proposal.booking == booking).order_by(Proposal.id.desc()).first()
    )
    return found


def proposals_of(booking: Booking) -> list[tuple[Proposal, list[datetime]]]:
    """Every proposal with its starts, oldest first."""
    found = Proposal.select().where(Proposal.booking == booking).order_by(Proposal.id)
    return [(each, starts_of(each)) for each in found]

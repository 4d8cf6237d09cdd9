"""Proposals of other times for a booking."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BooleanField, ForeignKeyField, ModelSelect

from app.rules.lifecycle import Actor
from app.store.models.base import Table, add_index
from app.store.models.bookings import Booking
from app.store.models.fields import EnumField, InstantField
from app.store.models.people import Therapist


class ProposalEnd(StrEnum):
    TAKEN = "taken"
    # The other side kept the old time.
    DECLINED = "declined"
    # The proposer kept the old time.
    TAKEN_BACK = "taken_back"
    LAPSED = "lapsed"
    # The booking was answered, or ended.
    OVERTAKEN = "overtaken"


class Proposal(Table):
    """Other times for a booking, which one side offers and the other may take."""

    if TYPE_CHECKING:
        booking_id: int
        times: "ModelSelect[ProposedTime]"

    booking = ForeignKeyField(Booking, backref="proposals", on_delete="CASCADE")
    # client or therapist.
    by = EnumField(Actor)
    # Whether its client could cancel at no cost then, by the notice alone: the hour after a refused
    # move does not count, so that asking again and again does not make cancelling free for ever.
    was_free = BooleanField()
    made_at = InstantField()
    until = InstantField()
    # How and when it ended; null while it is open.
    outcome = EnumField(ProposalEnd, null=True)
    ended_at = InstantField(null=True)


class ProposedTime(Table):
    """One of the starts of a proposal, which holds them while it is open."""

    proposal = ForeignKeyField(Proposal, backref="times", on_delete="CASCADE")
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
    starts_at = InstantField()
    ends_at = InstantField()
    # Whether it was taken.
    is_taken = BooleanField(default=False)


# The database's own refusal of a second open proposal.
add_index(
    Proposal, "proposal_open", Proposal.booking, where=Proposal.outcome.is_null(), unique=True
)
# Open times: a therapist's proposed times of a span.
add_index(ProposedTime, "proposed_time_calendar", ProposedTime.therapist, ProposedTime.starts_at)

"""Requests that wait for their address to be confirmed, and the one table of held times."""

import json
from typing import TYPE_CHECKING

import peewee
from peewee import CharField, Check, ForeignKeyField

from app.rules.lifecycle import Kind
from app.store.models.base import Table, add_index
from app.store.models.bookings import Booking
from app.store.models.fields import EncryptedTextField, EnumField, InstantField
from app.store.models.outbox import OutboxEmail
from app.store.models.people import Therapist
from app.store.models.proposals import Proposal


class PendingRequest(Table):
    """What a visitor typed on the public form. No client or booking exists for it yet."""

    if TYPE_CHECKING:
        therapist_id: int
        booking_id: int | None
        told_by_id: int | None

    # Random; what the Confirm Request link's token names.
    key = CharField(max_length=32, unique=True)
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
    kind = EnumField(Kind)
    starts_at = InstantField()
    ends_at = InstantField()
    # A keyed hash of the address, for counting.
    address_hash = CharField(max_length=64)
    # JSON of name, given_name, email, timezone and note.
    details = EncryptedTextField(bound_to=("therapist", "starts_at", "created_at"))
    created_at = InstantField()
    # Until when it holds its time; null if it holds none.
    held_until = InstantField(null=True)
    # When its link ends and the row is deleted.
    expires_at = InstantField()
    # The email that carries its link.
    told_by = ForeignKeyField(
        OutboxEmail, null=True, backref="pending_requests", on_delete="SET NULL"
    )
    # What it became when its address was confirmed.
    booking = ForeignKeyField(Booking, null=True, on_delete="SET NULL")

    @property
    def typed(self) -> dict[str, str]:
        return dict(json.loads(self.details))

    # As a recipient of emails.
    @property
    def email(self) -> str:
        return self.typed["email"]

    @property
    def link_holder(self) -> str:
        return f"v{self.address_hash[:16]}"


class HeldTime(Table):
    """A cell of a therapist's time: a live booking, pending request or open proposal holds it.

    The key rules out double bookings.
    """

    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
    # The cell's start; cells are as long as `Policy.cell_minutes`.
    cell_at = InstantField()
    # One of the three.
    booking = ForeignKeyField(Booking, null=True, backref="held_times", on_delete="CASCADE")
    pending = ForeignKeyField(PendingRequest, null=True, backref="held_times", on_delete="CASCADE")
    proposal = ForeignKeyField(Proposal, null=True, backref="held_times", on_delete="CASCADE")

    class Meta:
        primary_key = peewee.CompositeKey("therapist", "cell_at")
        constraints = (
            Check(
                "(CASE WHEN booking_id IS NULL THEN 0 ELSE 1 END)"
                " + (CASE WHEN pending_id IS NULL THEN 0 ELSE 1 END)"
                " + (CASE WHEN proposal_id IS NULL THEN 0 ELSE 1 END) = 1"
            ),
        )


# How many requests hold or were sent to one address.
add_index(PendingRequest, "pending_address", PendingRequest.address_hash)
# Job purge: those that are over.
add_index(PendingRequest, "pending_expiry", PendingRequest.expires_at)
# Open times: the few that hold a therapist's time.
add_index(
    PendingRequest,
    "pending_holding",
    PendingRequest.therapist,
    PendingRequest.held_until,
    where=PendingRequest.held_until.is_null(False),
)

"""Emails on their way, every attempt at them, and what keeps some from leaving."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import CharField, ForeignKeyField, IntegerField

from app.store.models.base import Table, partial
from app.store.models.bookings import Booking
from app.store.models.fields import EnumField, FactsField, InstantField
from app.store.models.people import Client, Therapist


class OutboxStatus(StrEnum):
    """Where an email stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Role(StrEnum):
    """To whom an email goes."""

    CLIENT = "client"
    THERAPIST = "therapist"
    OPS = "ops"


class OutboxEmail(Table):
    """An email to be sent: what it is about, to whom, and where it stands. Holds no live token."""

    if TYPE_CHECKING:
        booking_id: int | None
        therapist_id: int | None
        client_id: int | None

    about = CharField(max_length=80)
    kind = CharField(max_length=32)
    role = EnumField(Role)
    ordinal = IntegerField(default=1)
    booking = ForeignKeyField(Booking, null=True, backref="emails", on_delete="CASCADE")
    therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
    client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
    thread = CharField(max_length=96)
    facts = FactsField()
    status = EnumField(OutboxStatus, default=OutboxStatus.QUEUED)
    created_at = InstantField()
    due_at = InstantField()
    first_tried_at = InstantField(null=True)
    attempts = IntegerField(default=0)
    lease_token = CharField(max_length=32, null=True)
    last_error = CharField(max_length=300, null=True)
    settled_at = InstantField(null=True)

    @property
    def recipient(self) -> Client | Therapist | None:
        """The person it goes to; None for ops."""
        if self.role is Role.OPS:
            return None
        about = self.booking or self
        return about.client if self.role is Role.CLIENT else about.therapist

    class Meta:
        indexes = ((("about", "kind", "role", "ordinal"), True),)


class Outcome(StrEnum):
    """How one attempt to deliver an email ended."""

    SENT = "sent"
    DEFERRED = "deferred"
    BLOCKED = "blocked"
    REFUSED_ADDRESS = "refused_address"
    REFUSED_CONTENT = "refused_content"
    FAULT = "fault"
    GIVEN_UP = "given_up"
    SUPPRESSED = "suppressed"
    SKIPPED = "skipped"
    LOST = "lost"


class DeliveryAttempt(Table):
    """One attempt to deliver an email: only ever added, and kept where the email goes."""

    if TYPE_CHECKING:
        email_id: int | None

    email = ForeignKeyField(OutboxEmail, null=True, backref="tries", on_delete="SET NULL")
    at = InstantField()
    outcome = EnumField(Outcome, index=True)
    code = IntegerField(null=True)
    said = CharField(max_length=300, null=True)


class Suppression(Table):
    """An address that a mail server refused for good."""

    address_key = CharField(max_length=254, unique=True)
    reason = CharField(max_length=300)
    at = InstantField()


class Hold(Table):
    """What stands still until ops lets it go, and since when."""

    name = CharField(max_length=32, unique=True)
    at = InstantField()


partial(
    OutboxEmail,
    "outbox_due",
    OutboxEmail.due_at,
    where=OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]),
)
partial(
    OutboxEmail,
    "outbox_thread",
    OutboxEmail.thread,
    OutboxEmail.id,
    where=OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]),
)
partial(
    OutboxEmail,
    "outbox_ended",
    OutboxEmail.status,
    where=OutboxEmail.status.in_([OutboxStatus.SENT, OutboxStatus.FAILED, OutboxStatus.SKIPPED]),
)

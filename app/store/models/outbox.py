"""Tables of the outbox: emails, delivery attempts, unreachable addresses, pauses, holds."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import SQL, CharField, ForeignKeyField, IntegerField, ModelSelect

from app.store.models.base import Table, add_index
from app.store.models.bookings import Booking
from app.store.models.fields import EnumField, FactsField, InstantField
from app.store.models.people import Client, OpsPerson, Therapist

if TYPE_CHECKING:
    from app.store.models.pending import PendingRequest

# The kind of email that goes to a visitor, about the pending requests of one address.
CONFIRM_REQUEST = "confirm_request"
# The kind that goes to one address of OPS_SIGN_IN.
OPS_SIGN_IN = "ops_sign_in"


class OutboxStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Role(StrEnum):
    CLIENT = "client"
    THERAPIST = "therapist"
    OPS = "ops"


class OutboxEmail(Table):
    """An email to be sent. It is rendered when it is sent, so the row holds no live link."""

    if TYPE_CHECKING:
        booking_id: int | None
        therapist_id: int | None
        client_id: int | None
        pending_requests: "ModelSelect[PendingRequest]"

    # The booking's reference, or a name of the account or request that caused it. Message-IDs
    # derive from these four columns.
    about = CharField(max_length=80)
    kind = CharField(max_length=32)
    role = EnumField(Role)
    ordinal = IntegerField(default=1)
    # Either a booking, or the therapist or client of an email about no booking.
    booking = ForeignKeyField(Booking, null=True, backref="emails", on_delete="CASCADE")
    therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
    client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
    # The recipient's, so that claiming can leave out domains that are paused.
    domain = CharField(max_length=255, default="")
    # Emails of one thread leave in the order of their ids.
    thread = CharField(max_length=96)
    # The numbers of the event that caused it.
    facts = FactsField()
    status = EnumField(OutboxStatus, default=OutboxStatus.QUEUED)
    created_at = InstantField()
    # When to try it (queued), or when its claim's lease ends (sending).
    due_at = InstantField()
    first_tried_at = InstantField(null=True)
    attempts = IntegerField(default=0)
    # Names the claim that may send it.
    lease_token = CharField(max_length=32, null=True)
    last_error = CharField(max_length=300, null=True)
    # When it was sent, failed or skipped.
    settled_at = InstantField(null=True)

    @property
    def is_waiting(self) -> bool:
        return self.status in (OutboxStatus.QUEUED, OutboxStatus.SENDING)

    @property
    def recipient(self) -> "Client | Therapist | OpsPerson | PendingRequest | None":
        """None for OPS_EMAIL, and for a visitor whose requests are over."""
        if self.role is Role.OPS:
            return OpsPerson(self.facts["to"]) if self.kind == OPS_SIGN_IN else None
        if self.kind == CONFIRM_REQUEST:
            newest = self.pending_requests.order_by(SQL("id DESC"))
            pending: PendingRequest | None = newest.first()
            return pending
        about = self.booking or self
        return about.client if self.role is Role.CLIENT else about.therapist

    class Meta:
        # Unique: nothing is sent twice.
        indexes = ((("about", "kind", "role", "ordinal"), True),)


class Outcome(StrEnum):
    SENT = "sent"
    # The server refused it for now.
    DEFERRED = "deferred"
    # No server took or refused it: no connection, no login.
    BLOCKED = "blocked"
    # The server refused us, not the email or its recipient.
    UNWELCOME = "unwelcome"
    REFUSED_ADDRESS = "refused_address"
    REFUSED_CONTENT = "refused_content"
    # It could not be rendered, or a bug of ours.
    FAULT = "fault"
    # The mail server took it, and another one sent it back.
    BOUNCED = "bounced"
    # Retried for as long as it may be.
    GIVEN_UP = "given_up"
    # Not tried: earlier emails showed that the mailbox does not exist.
    SUPPRESSED = "suppressed"
    # Not tried: it would no longer be true.
    SKIPPED = "skipped"
    # Another worker took the email over, or it was skipped during the attempt.
    LOST = "lost"


class DeliveryAttempt(Table):
    # Rows are only added, so that counters never decrease.

    if TYPE_CHECKING:
        email_id: int | None

    # Null if the email's row was deleted by hand.
    email = ForeignKeyField(OutboxEmail, null=True, backref="tries", on_delete="SET NULL")
    at = InstantField()
    # The index serves the metric of attempts by outcome.
    outcome = EnumField(Outcome, index=True)
    # The mail server's reply code.
    code = IntegerField(null=True)
    # What the mail server or our own check answered; safe to log.
    said = CharField(max_length=300, null=True)


class Suppression(Table):
    """An address that our emails do not reach; the row ends when one arrives."""

    if TYPE_CHECKING:
        email_id: int | None

    # `email_key` of the address.
    address_key = CharField(max_length=254, unique=True)
    # The mail server's words; safe to log.
    reason = CharField(max_length=300)
    # Since when.
    at = InstantField()
    # Until when nothing is sent to it; null where it is tried.
    until = InstantField(null=True)
    # How many refusals said in words alone that there is no such mailbox.
    doubts = IntegerField(default=0)
    # The first email that did not arrive; null if it was sent by release 0.1.
    email = ForeignKeyField(OutboxEmail, null=True, on_delete="SET NULL", index=False)


class MailPause(Table):
    """A recipient domain that refuses us, or all of them; nothing is sent to it for now."""

    # A domain, or "*" for the whole queue.
    scope = CharField(max_length=255, unique=True)
    # The refusal; safe to log.
    reason = CharField(max_length=300)
    at = InstantField()
    # When one email may be tried, or until when the one being tried holds the pause.
    until = InstantField()
    # When it last refused us.
    refused_at = InstantField()
    # Refusals in a row; each makes the next pause longer.
    refusals = IntegerField(default=1)


class EmailLimit(Table):
    """When emails of one kind leave to one address; the row is the lock for counting them."""

    kind = CharField(max_length=32)
    # A keyed hash of the address.
    address_hash = CharField(max_length=64)
    # {"at": the last moments, oldest first, in ISO 8601}; the newest may be ahead.
    leave_at = FactsField()
    # Job purge: the newest of them.
    last_at = InstantField()

    class Meta:
        indexes = ((("kind", "address_hash"), True),)


class Hold(Table):
    """A part of the system that ops has stopped, and since when."""

    # Only "outbox" so far.
    name = CharField(max_length=32, unique=True)
    at = InstantField()


# Claiming: emails that are due, longest overdue first.
add_index(
    OutboxEmail,
    "outbox_due",
    OutboxEmail.due_at,
    where=OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]),
)
# Claiming: whether an earlier email of the thread still waits. Its condition is not that of
# `outbox_due`: PostgreSQL would read that one whole for each email, because its statistics, of a
# quiet time, say that nothing waits.
add_index(
    OutboxEmail,
    "outbox_thread",
    OutboxEmail.thread,
    OutboxEmail.id,
    where=OutboxEmail.status.not_in([OutboxStatus.SENT, OutboxStatus.FAILED, OutboxStatus.SKIPPED]),
)
# Metrics: how many emails were sent, failed and skipped.
add_index(
    OutboxEmail,
    "outbox_ended",
    OutboxEmail.status,
    where=OutboxEmail.status.in_([OutboxStatus.SENT, OutboxStatus.FAILED, OutboxStatus.SKIPPED]),
)
# Job purge: those that limit nothing any more.
add_index(EmailLimit, "email_limit_last", EmailLimit.last_at)

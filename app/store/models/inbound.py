"""Tables of the mail door: messages that came in, complaints, the key of our addresses."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BooleanField, CharField, ForeignKeyField, IntegerField

from app.mail_addresses import AddressKind
from app.store.models.base import Table, add_index
from app.store.models.bookings import Booking
from app.store.models.fields import EncryptedTextField, EnumField, InstantField
from app.store.models.outbox import OutboxEmail
from app.store.models.people import Client, Therapist


class InboundStatus(StrEnum):
    WAITING = "waiting"
    HANDLED = "handled"
    # A fault of ours, again and again; ops sees it in the log.
    FAILED = "failed"


class InboundMessage(Table):
    """A message that the mail door took; what it says is deleted once it is handled."""

    if TYPE_CHECKING:
        therapist_id: int | None
        client_id: int | None
        email_id: int | None
        booking_id: int | None

    # A hash of the address it came to and of its Message-ID: the same message is stored once.
    key = CharField(max_length=64, unique=True)
    # Of the address it came to, and what that address names.
    kind = EnumField(AddressKind)
    therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
    client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
    # The email that it replies to, or that it says did not arrive.
    email = ForeignKeyField(OutboxEmail, null=True, on_delete="CASCADE", index=False)
    # What the limit counts: the address without its tag.
    sender_of = CharField(max_length=32)
    # Its bytes, each as one character.
    content = EncryptedTextField(null=True, bound_to=("key",))
    # MAIL FROM was empty: it is a report of a mail server.
    is_from_server = BooleanField()
    received_at = InstantField()
    status = EnumField(InboundStatus, default=InboundStatus.WAITING)
    due_at = InstantField()
    attempts = IntegerField(default=0)
    handled_at = InstantField(null=True)
    # What became of it, in a word.
    outcome = CharField(max_length=32, null=True)
    # The booking that it was about.
    booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
    # A hash of UID, attendee, SEQUENCE and DTSTAMP: the same calendar answer counts once.
    answer_key = CharField(max_length=64, null=True, unique=True)
    # SEQUENCE and DTSTAMP of a calendar answer: older ones than this change nothing.
    answer_sequence = IntegerField(null=True)
    answer_stamped_at = InstantField(null=True)


class Complaint(Table):
    """An address whose owner called an email of ours spam: reminders are not sent to it."""

    # `email_key` of the address.
    address_key = CharField(max_length=254, unique=True)
    at = InstantField()


class MailKey(Table):
    """The key of the mail door's addresses; it stays the same when SECRET_KEY changes."""

    # Only "addresses".
    name = CharField(max_length=32, unique=True)
    secret = EncryptedTextField(bound_to=("name",))


# Job process_inbound: messages that wait.
add_index(
    InboundMessage,
    "inbound_waiting",
    InboundMessage.due_at,
    where=InboundMessage.status == InboundStatus.WAITING,
)
# Limits: messages of one address within the hour. Purge: old ones.
add_index(InboundMessage, "inbound_sender", InboundMessage.sender_of, InboundMessage.received_at)
# Calendar answers about a booking.
add_index(
    InboundMessage,
    "inbound_booking",
    InboundMessage.booking,
    where=InboundMessage.booking.is_null(False),
)

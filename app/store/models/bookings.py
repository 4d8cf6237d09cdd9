"""Tables of bookings: timeline, ledger, what people wrote, therapists' standing."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BooleanField, CharField, ForeignKeyField, IntegerField, ModelSelect

from app import config
from app.rules import acceptance, lifecycle
from app.rules.lifecycle import MOVES, Actor, Kind, Move, Status, Times, Via
from app.store.models.base import Table, add_index
from app.store.models.fields import EncryptedTextField, EnumField, FactsField, InstantField
from app.store.models.people import Client, Therapist


class Purpose(StrEnum):
    # From the client, with the request.
    NOTE = "note"
    # From the therapist, with a decline.
    REASON = "reason"
    MESSAGE = "message"
    # Only the therapist reads it.
    PRIVATE_NOTE = "private_note"


class Booking(Table):
    # Only services/bookings/transitions.py writes `status` and the columns that follow from it.

    if TYPE_CHECKING:
        therapist_id: int
        client_id: int
        replaces_id: int | None
        timeline: "ModelSelect[TimelineEntry]"

    # Public, for example MB-7K3QXD.
    reference = CharField(max_length=16, unique=True)
    therapist = ForeignKeyField(Therapist, backref="bookings", on_delete="RESTRICT", index=False)
    client = ForeignKeyField(Client, backref="bookings", on_delete="RESTRICT")
    # The client as they gave themselves for this booking; each of their bookings has its own.
    client_name = CharField(max_length=120)
    # The only name of theirs that emails and calendars use.
    client_given_name = CharField(max_length=120)
    # IANA name.
    client_timezone = CharField(max_length=64)
    kind = EnumField(Kind)
    # May lag behind the clock until a job has run: see `status_at`.
    status = EnumField(Status)
    requested_at = InstantField()
    # Until when an answer is on time.
    answer_by = InstantField()
    # When an unanswered enquiry ends, or did when the therapist's account was deactivated.
    expires_at = InstantField()
    starts_at = InstantField()
    ends_at = InstantField()
    # The price at the request; 0 for a free consultation.
    fee_minor = IntegerField()
    currency = CharField(max_length=3)
    # Whether this booking uses up the client's one free consultation with the therapist.
    uses_free_consultation = BooleanField(default=False)
    # Links carry the epoch at which they were minted; raising it ends them.
    epoch = IntegerField(default=1)
    # The SEQUENCE of its calendar entry.
    sequence = IntegerField(default=0)
    # When the mail server took the request email; lateness counts from here.
    handed_over_at = InstantField(null=True)
    # When the therapist accepted or declined.
    answered_at = InstantField(null=True)
    # When the first move other than accepting took effect.
    ended_at = InstantField(null=True)
    # Expired because of the account, so the ranking does not count it as unanswered.
    ended_by_deactivation = BooleanField(default=False)
    # When each step is due; null once it is done or no longer applies.
    reminder_due_at = InstantField(null=True)
    late_due_at = InstantField(null=True)
    # The first reminder: before free cancelling ends.
    day_reminder_due_at = InstantField(null=True)
    # The second one: before the start.
    hour_reminder_due_at = InstantField(null=True)
    # When an accepted session counts as completed.
    completes_at = InstantField()
    # The booking in whose place Choose Someone Else requested this one.
    replaces = ForeignKeyField("self", null=True, backref="replacements", on_delete="SET NULL")

    # When RETENTION_MONTHS removed what was written in it and its emails.
    words_cleared_at = InstantField(null=True)

    @property
    def times(self) -> Times:
        return Times(
            requested_at=self.requested_at,
            expires_at=self.expires_at,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            completes_at=self.completes_at,
            no_show_until=self.completes_at + config.current().policy.no_show_within,
        )

    def due_move(self, now: datetime) -> tuple[Move, datetime] | None:
        """The move that the clock makes by `now` and its instant, if it is not stored yet."""
        move = lifecycle.due_move(self.status, self.times, now)
        return (move, MOVES[move].opens(self.times)) if move else None

    def status_at(self, now: datetime) -> Status:
        """The status by the clock: a due move counts even if no job has stored it yet."""
        due = self.due_move(now)
        return MOVES[due[0]].target if due else self.status

    def takes_messages_at(self, now: datetime) -> bool:
        is_possible = lifecycle.takes_messages(self.status_at(now), self.times, now)
        return is_possible and not self.client.is_erased

    def is_late_at(self, now: datetime) -> bool:
        waited_until = self.answered_at or self.ended_at or min(now, self.expires_at)
        return acceptance.is_late(self.answer_by, waited_until)


class TimelineEntry(Table):
    # Entries are only added, in the order in which they took effect.

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="timeline", on_delete="CASCADE", index=False)
    # The status that a move led to, or: requested, reminded, late.
    event = CharField(max_length=32)
    by = EnumField(Actor)
    via = EnumField(Via)
    at = InstantField()
    # The numbers that were applied; replay computes ledger and status from them.
    facts = FactsField()

    class Meta:
        # Unique: each event happens once per booking. The second one serves the metric of moves.
        indexes = ((("booking", "event"), True), (("event", "via"), False))


class LedgerLine(Table):
    """Money owed to (+) or by (-) an account; a booking's lines sum to zero."""

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="ledger", on_delete="RESTRICT", index=False)
    # The event of the timeline that moved the money.
    event = CharField(max_length=32)
    # client, held, therapist or commission.
    account = CharField(max_length=16)
    amount_minor = IntegerField()
    currency = CharField(max_length=3)
    at = InstantField()

    class Meta:
        # Unique: no event moves money twice.
        indexes = ((("booking", "event", "account"), True),)


class Writing(Table):
    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="writings", on_delete="CASCADE")
    purpose = EnumField(Purpose)
    author = EnumField(Actor)
    body = EncryptedTextField(bound_to=("booking", "purpose", "author", "created_at"))
    created_at = InstantField()


class ManageVisit(Table):
    """Its client pressed a button of their link to a request from the public form."""

    booking = ForeignKeyField(Booking, unique=True, on_delete="CASCADE")
    # The first time.
    at = InstantField()


class StandingEntry(Table):
    if TYPE_CHECKING:
        therapist_id: int
        booking_id: int | None

    therapist = ForeignKeyField(Therapist, backref="standing_entries", on_delete="CASCADE")
    # A member of StandingEvent, or a step that was announced.
    event = CharField(max_length=32)
    # The booking that caused it, if one did.
    booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
    # The streak after the event.
    streak = IntegerField()
    at = InstantField()

    class Meta:
        # Unique: a booking changes a standing once.
        indexes = ((("booking", "event"), True),)


_requested = Booking.status == Status.REQUESTED
_accepted = Booking.status == Status.ACCEPTED
# The database's own refusal of a second free consultation, whatever runs at once.
add_index(
    Booking,
    "booking_one_free_consultation",
    Booking.therapist,
    Booking.client,
    where=Booking.uses_free_consultation,
    unique=True,
)
# One index for each job that looks for due bookings.
add_index(Booking, "booking_to_remind", Booking.reminder_due_at, where=_requested)
add_index(Booking, "booking_late", Booking.late_due_at, where=_requested)
add_index(Booking, "booking_to_expire", Booking.expires_at, where=_requested)
add_index(Booking, "booking_to_complete", Booking.completes_at, where=_accepted)
add_index(Booking, "booking_day_reminder", Booking.day_reminder_due_at, where=_accepted)
add_index(Booking, "booking_hour_reminder", Booking.hour_reminder_due_at, where=_accepted)
# Open times and the dashboard: a therapist's bookings of a span.
add_index(Booking, "booking_calendar", Booking.therapist, Booking.starts_at)
# Job purge: bookings whose words RETENTION_MONTHS may have to remove.
add_index(
    Booking,
    "booking_words",
    Booking.ends_at,
    Booking.client,
    where=Booking.words_cleared_at.is_null(),
)
# The same for RETENTION_PRIVATE_NOTES_MONTHS.
add_index(
    Writing,
    "writing_private_notes",
    Writing.created_at,
    where=Writing.purpose == Purpose.PRIVATE_NOTE,
)
# Home, and what is due of one therapist: their open enquiries, their sessions to come.
add_index(Booking, "booking_enquiries", Booking.therapist, Booking.expires_at, where=_requested)
add_index(Booking, "booking_sessions", Booking.therapist, Booking.completes_at, where=_accepted)
# Ranking: a therapist's enquiries of the last 90 days.
add_index(Booking, "booking_history", Booking.therapist, Booking.requested_at)

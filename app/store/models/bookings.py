"""Tables of bookings: timeline, ledger, what people wrote, therapists' standing."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    ModelSelect,
)

from app import config
from app.rules import acceptance, lifecycle
from app.rules.cancellation import MoveTerms
from app.rules.lifecycle import MOVES, Actor, Kind, Move, Status, Times, Via
from app.rules.proposals import OpenProposal
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
    # Whose proposal of another time is open; null if none is.
    proposed_by = EnumField(Actor, null=True)
    # When it ends unanswered. For a suggestion it is also `expires_at`.
    proposed_until = InstantField(null=True)
    # When the therapist suggested other times instead of answering.
    suggested_at = InstantField(null=True)
    # When the therapist asked to move the accepted session, which they can do once.
    move_asked_at = InstantField(null=True)
    # When the therapist was last asked again to answer: the client kept or moved the time.
    asked_at = InstantField(null=True)
    # How often the therapist was asked; the ordinal of what reminds of the answer.
    asked_times = IntegerField(default=1)
    # How long the therapist took before the last asking, in microseconds; it counts as lateness.
    earlier_delay_us = BigIntegerField(default=0)
    # How often its time has changed.
    moves = IntegerField(default=0)
    # The client moved it when cancelling was not free any more, so no notice makes it free again.
    is_moved_late = BooleanField(default=False)
    # After a refused move: until when cancelling is still free.
    cancel_free_until = InstantField(null=True)
    # Links of an earlier epoch were revoked; those from it on name a time that has changed.
    oldest_epoch = IntegerField(default=1)
    # When the client wrote the first message that the therapist has not opened; null if none. It
    # tells who has looked, as the access trail does, so a GET by the signed-in therapist may change
    # it; no link of an email, no HEAD and no prefetch does.
    unread_since = InstantField(null=True)
    # The booking in whose place Choose Someone Else requested this one.
    replaces = ForeignKeyField("self", null=True, backref="replacements", on_delete="SET NULL")

    # When RETENTION_MONTHS removed what was written in it and its emails.
    words_cleared_at = InstantField(null=True)
    # No column: `queries.read_ahead` sets it where several bookings are read at once.
    read_ahead: Any = None

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

    @property
    def open_proposal(self) -> OpenProposal | None:
        """As stored; it may have lapsed by the clock."""
        if self.proposed_by is None or self.proposed_until is None:
            return None
        return OpenProposal(self.proposed_by, self.proposed_until)

    def proposal_at(self, now: datetime) -> OpenProposal | None:
        """The proposal that can still be answered."""
        proposal = self.open_proposal
        is_open = proposal is not None and now < proposal.until
        return proposal if is_open and self.status_at(now) in lifecycle.LIVE else None

    def has_lapsed_at(self, now: datetime) -> bool:
        """Whether a proposal of another time for a session has ended by the clock."""
        proposal = self.open_proposal
        return self.status is Status.ACCEPTED and proposal is not None and now >= proposal.until

    @property
    def waits_for_client(self) -> bool:
        """Whether the therapist's last word was a suggestion of other times."""
        return self.suggested_at is not None and (
            self.asked_at is None or self.asked_at < self.suggested_at
        )

    def move_terms_at(self, now: datetime) -> MoveTerms:
        proposal = self.proposal_at(now)
        return MoveTerms(
            is_moved_late=self.is_moved_late,
            free_until=self.cancel_free_until,
            therapist_asks=self.status is Status.ACCEPTED
            and proposal is not None
            and proposal.by is Actor.THERAPIST,
        )

    def is_late_at(self, now: datetime) -> bool:
        waited_until = self.answered_at or self.ended_at or min(now, self.expires_at)
        if self.suggested_at is not None and self.waits_for_client:
            waited_until = self.suggested_at
        return acceptance.is_late(self.answer_by, waited_until)


class TimelineEntry(Table):
    # Entries are only added, in the order in which they took effect.
    # Beside moves and notices: proposed, proposal_declined, proposal_lapsed, moved.

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="timeline", on_delete="CASCADE", index=False)
    # The status that a move led to, or: requested, reminded, late.
    event = CharField(max_length=32)
    # Above 1 for what happens again once the time has changed.
    ordinal = IntegerField(default=1)
    by = EnumField(Actor)
    via = EnumField(Via)
    at = InstantField()
    # The numbers that were applied; replay computes ledger and status from them.
    facts = FactsField()

    class Meta:
        # Unique: each step happens once. The second one serves the metric of moves.
        indexes = ((("booking", "event", "ordinal"), True), (("event", "via"), False))


class LedgerLine(Table):
    """Money owed to (+) or by (-) an account; a booking's lines sum to zero."""

    if TYPE_CHECKING:
        booking_id: int
        therapist_id: int | None

    booking = ForeignKeyField(Booking, backref="ledger", on_delete="RESTRICT", index=False)
    # The event of the timeline that moved the money.
    event = CharField(max_length=32)
    # client, held, therapist or commission.
    account = CharField(max_length=16)
    amount_minor = IntegerField()
    currency = CharField(max_length=3)
    at = InstantField()
    # Of the account therapist: who earned it. Null for the others.
    therapist = ForeignKeyField(Therapist, null=True, on_delete="RESTRICT", index=False)

    class Meta:
        # Unique: no event moves money twice.
        indexes = ((("booking", "event", "account"), True),)


class MonthEarned(Table):
    """Sums of the ledger's lines of one therapist, written with them."""

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, on_delete="RESTRICT", index=False)
    # 2026-11, by the therapist's time zone; counted again when that changes.
    month = CharField(max_length=7)
    currency = CharField(max_length=3)
    sessions = IntegerField()
    payout_minor = BigIntegerField()
    fee_minor = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("therapist", "month", "currency")


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
    # Why ops reactivated the account.
    reason = EncryptedTextField(null=True, bound_to=("therapist", "at"))

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
# Proposals that have lapsed.
add_index(
    Booking,
    "booking_proposal",
    Booking.proposed_until,
    where=Booking.proposed_until.is_null(False),
)
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
# Home: a therapist's bookings with unread messages.
add_index(
    Booking,
    "booking_unread",
    Booking.therapist,
    Booking.unread_since,
    where=Booking.unread_since.is_null(False),
)
# Ranking: a therapist's enquiries of the last 90 days.
add_index(Booking, "booking_history", Booking.therapist, Booking.requested_at)
# Earnings: what a therapist earned in a span.
add_index(
    LedgerLine,
    "ledger_line_earned",
    LedgerLine.therapist,
    LedgerLine.at,
    where=LedgerLine.therapist.is_null(False),
)

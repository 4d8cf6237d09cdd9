"""Bookings and what hangs on them: held times, timeline, ledger, writings, standing."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import peewee
from peewee import BooleanField, CharField, ForeignKeyField, IntegerField, ModelSelect

from app import config
from app.rules import acceptance, lifecycle
from app.rules.lifecycle import MOVES, Actor, Kind, Move, Status, Times, Via
from app.store.models.base import Table, partial
from app.store.models.fields import EncryptedTextField, EnumField, FactsField, InstantField
from app.store.models.people import Client, Therapist


class Purpose(StrEnum):
    """What a piece of writing is."""

    NOTE = "note"
    REASON = "reason"
    MESSAGE = "message"
    PRIVATE_NOTE = "private_note"


class Booking(Table):
    """One client, one therapist, one start time, one price."""

    if TYPE_CHECKING:
        therapist_id: int
        client_id: int
        replaces_id: int | None
        timeline: "ModelSelect[TimelineEntry]"

    reference = CharField(max_length=16, unique=True)
    therapist = ForeignKeyField(Therapist, backref="bookings", on_delete="RESTRICT", index=False)
    client = ForeignKeyField(Client, backref="bookings", on_delete="RESTRICT")
    kind = EnumField(Kind)
    status = EnumField(Status)
    requested_at = InstantField()
    answer_by = InstantField()
    expires_at = InstantField()
    starts_at = InstantField()
    ends_at = InstantField()
    fee_minor = IntegerField()
    currency = CharField(max_length=3)
    uses_free_consultation = BooleanField(default=False)
    epoch = IntegerField(default=1)
    sequence = IntegerField(default=0)
    handed_over_at = InstantField(null=True)
    answered_at = InstantField(null=True)
    ended_at = InstantField(null=True)
    ended_by_deactivation = BooleanField(default=False)
    reminder_due_at = InstantField(null=True)
    late_due_at = InstantField(null=True)
    day_reminder_due_at = InstantField(null=True)
    hour_reminder_due_at = InstantField(null=True)
    completes_at = InstantField()
    # The booking in whose place Choose Someone Else requested this one.
    replaces = ForeignKeyField("self", null=True, backref="replacements", on_delete="SET NULL")

    @property
    def times(self) -> Times:
        """The instants on which the booking's moves depend."""
        policy = config.current().policy
        return lifecycle.times_of(
            requested_at=self.requested_at,
            answer_by=self.answer_by,
            expires_at=self.expires_at,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            completes_after=policy.completes_after,
            no_show_within=policy.no_show_within,
        )

    def due_move(self, now: datetime) -> tuple[Move, datetime] | None:
        """The move that the clock makes by `now` and its instant, if it is not stored yet."""
        move = lifecycle.due_move(self.status, self.times, now)
        return (move, MOVES[move].opens(self.times)) if move else None

    def status_at(self, now: datetime) -> Status:
        """The status by the clock: a due move counts even if no job has stored it yet."""
        due = self.due_move(now)
        return MOVES[due[0]].target if due else self.status

    def is_late_at(self, now: datetime) -> bool:
        """Whether the answer, or the wait for one, went past `answer_by`."""
        waited_until = self.answered_at or self.ended_at or min(now, self.expires_at)
        return acceptance.is_late(self.answer_by, waited_until)


class HeldTime(Table):
    """One cell of a therapist's time that a live booking holds."""

    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
    cell_at = InstantField()
    booking = ForeignKeyField(Booking, backref="held_times", on_delete="CASCADE")

    class Meta:
        primary_key = peewee.CompositeKey("therapist", "cell_at")


class TimelineEntry(Table):
    """What happened to a booking: when, by whom, through which door, with which numbers."""

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="timeline", on_delete="CASCADE", index=False)
    event = CharField(max_length=32)
    by = EnumField(Actor)
    via = EnumField(Via)
    at = InstantField()
    facts = FactsField()

    class Meta:
        indexes = ((("booking", "event"), True), (("event", "via"), False))


class LedgerLine(Table):
    """Money owed to (+) or by (-) an account because of one booking."""

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="ledger", on_delete="RESTRICT", index=False)
    event = CharField(max_length=32)
    account = CharField(max_length=16)
    amount_minor = IntegerField()
    currency = CharField(max_length=3)
    at = InstantField()

    class Meta:
        indexes = ((("booking", "event", "account"), True),)


class Writing(Table):
    """What people wrote: notes, reasons, messages; encrypted, and never in an email."""

    if TYPE_CHECKING:
        booking_id: int

    booking = ForeignKeyField(Booking, backref="writings", on_delete="CASCADE")
    purpose = EnumField(Purpose)
    author = EnumField(Actor)
    body = EncryptedTextField()
    created_at = InstantField()


class StandingEntry(Table):
    """What happened to a therapist's standing, in the order in which it took effect."""

    if TYPE_CHECKING:
        therapist_id: int
        booking_id: int | None

    therapist = ForeignKeyField(Therapist, backref="standing_entries", on_delete="CASCADE")
    event = CharField(max_length=32)
    booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
    streak = IntegerField()
    at = InstantField()

    class Meta:
        indexes = ((("booking", "event"), True),)


_requested = Booking.status == Status.REQUESTED
_accepted = Booking.status == Status.ACCEPTED
partial(
    Booking,
    "booking_one_free_consultation",
    Booking.therapist,
    Booking.client,
    where=Booking.uses_free_consultation,
    unique=True,
)
partial(Booking, "booking_to_remind", Booking.reminder_due_at, where=_requested)
partial(Booking, "booking_late", Booking.late_due_at, where=_requested)
partial(Booking, "booking_to_expire", Booking.expires_at, where=_requested)
partial(Booking, "booking_to_complete", Booking.completes_at, where=_accepted)
partial(Booking, "booking_day_reminder", Booking.day_reminder_due_at, where=_accepted)
partial(Booking, "booking_hour_reminder", Booking.hour_reminder_due_at, where=_accepted)
Booking.add_index(Booking.index(Booking.therapist, Booking.starts_at, name="booking_calendar"))
Booking.add_index(Booking.index(Booking.therapist, Booking.requested_at, name="booking_history"))

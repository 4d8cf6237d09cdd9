"""The tables: columns, constraints and partial indexes; no decisions."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import peewee
from peewee import (
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    ModelSelect,
    TextField,
)

from app.rules.lifecycle import Actor, Kind, Status, Via
from app.store.database import db
from app.store.fields import EncryptedTextField, EnumField, FactsField, InstantField


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


class Purpose(StrEnum):
    """What a piece of writing is."""

    NOTE = "note"
    REASON = "reason"
    MESSAGE = "message"
    PRIVATE_NOTE = "private_note"


class Table(peewee.Model):
    """The base of all tables."""

    if TYPE_CHECKING:
        # peewee makes these on its own: `id`, and below the ids and backrefs of foreign keys.
        id = AutoField()

    class Meta:
        database = db
        legacy_table_names = False
        only_save_dirty = True


class Therapist(Table):
    """Offers sessions; holds the profile, the standing and the ranking that the rules left."""

    if TYPE_CHECKING:
        windows: "ModelSelect[Window]"

    slug = CharField(max_length=64, unique=True)
    name = CharField(max_length=120)
    email = CharField(max_length=254)
    email_key = CharField(max_length=254, unique=True)
    timezone = CharField(max_length=64)
    rate_minor = IntegerField()
    currency = CharField(max_length=3)
    offers_free_consultation = BooleanField(default=True)
    meeting_url = CharField(max_length=500, null=True)
    headline = CharField(max_length=200, default="")
    about = TextField(default="")
    specialisms = CharField(max_length=500, default="")
    is_paused = BooleanField(default=False)
    is_hidden = BooleanField(default=False)
    deactivated_at = InstantField(null=True)
    flagged_at = InstantField(null=True)
    streak = IntegerField(default=0)
    streak_told = IntegerField(default=0)
    standing_due_at = InstantField(null=True)
    score = DoubleField(default=100.0)
    median_answer_s = IntegerField(default=10_800)
    ranked_at = InstantField(null=True)
    ranking_due_at = InstantField(null=True)
    tie_seed = BigIntegerField()
    created_at = InstantField()


class Window(Table):
    """A stretch of weekly availability, in minutes of the therapist's own day (0 to 1440)."""

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, backref="windows", on_delete="CASCADE")
    weekday = IntegerField()
    start_minute = IntegerField()
    end_minute = IntegerField()

    class Meta:
        table_name = "availability"
        indexes = ((("therapist", "weekday", "start_minute"), True),)


class TimeOff(Table):
    """A span in which a therapist takes no sessions."""

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, backref="time_off", on_delete="CASCADE", index=False)
    starts_at = InstantField()
    ends_at = InstantField()

    class Meta:
        indexes = ((("therapist", "ends_at"), False),)


class Client(Table):
    """Asks for sessions; is their email address, without regard to case."""

    email = CharField(max_length=254)
    email_key = CharField(max_length=254, unique=True)
    name = CharField(max_length=120)
    timezone = CharField(max_length=64)
    created_at = InstantField()


class Booking(Table):
    """One client, one therapist, one start time, one price."""

    if TYPE_CHECKING:
        therapist_id: int
        client_id: int
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
        indexes = ((("booking", "event"), True),)


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

    class Meta:
        indexes = ((("about", "kind", "role", "ordinal"), True),)


class SignIn(Table):
    """A sign-in that was asked for; it opens one session, once."""

    if TYPE_CHECKING:
        therapist_id: int

    key = CharField(max_length=32, unique=True)
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
    next_path = CharField(max_length=200)
    created_at = InstantField()
    used_at = InstantField(null=True)


class IdempotentAnswer(Table):
    """The answer that a request with an Idempotency-Key was given."""

    key = CharField(max_length=64, unique=True)
    body_hash = CharField(max_length=64)
    http_status = IntegerField()
    body = TextField()
    created_at = InstantField()


class Heartbeat(Table):
    """When a kind of process was last known to be alive."""

    name = CharField(max_length=32, unique=True)
    at = InstantField()


class Suppression(Table):
    """An address that a mail server refused for good."""

    address_key = CharField(max_length=254, unique=True)
    reason = CharField(max_length=300)
    at = InstantField()


class Hold(Table):
    """What stands still until ops lets it go, and since when."""

    name = CharField(max_length=32, unique=True)
    at = InstantField()


def _partial(model: type[Table], name: str, *fields: Any, where: Any, unique: bool = False) -> None:
    model.add_index(model.index(*fields, name=name, where=where, unique=unique))


_requested = Booking.status == Status.REQUESTED
_accepted = Booking.status == Status.ACCEPTED
_partial(
    Booking,
    "booking_one_free_consultation",
    Booking.therapist,
    Booking.client,
    where=Booking.uses_free_consultation,
    unique=True,
)
_partial(Booking, "booking_to_remind", Booking.reminder_due_at, where=_requested)
_partial(Booking, "booking_late", Booking.late_due_at, where=_requested)
_partial(Booking, "booking_to_expire", Booking.expires_at, where=_requested)
_partial(Booking, "booking_to_complete", Booking.completes_at, where=_accepted)
_partial(Booking, "booking_day_reminder", Booking.day_reminder_due_at, where=_accepted)
_partial(Booking, "booking_hour_reminder", Booking.hour_reminder_due_at, where=_accepted)
Booking.add_index(Booking.index(Booking.therapist, Booking.starts_at, name="booking_calendar"))
Booking.add_index(Booking.index(Booking.therapist, Booking.requested_at, name="booking_history"))
_partial(
    OutboxEmail,
    "outbox_due",
    OutboxEmail.due_at,
    where=OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]),
)
_partial(
    OutboxEmail,
    "outbox_thread",
    OutboxEmail.thread,
    OutboxEmail.id,
    where=OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]),
)
_partial(
    Therapist,
    "therapist_standing_due",
    Therapist.standing_due_at,
    where=Therapist.standing_due_at.is_null(False),
)
_partial(
    Therapist,
    "therapist_ranking_due",
    Therapist.ranking_due_at,
    where=Therapist.ranking_due_at.is_null(False),
)
_partial(
    Therapist,
    "therapist_listed",
    Therapist.score.desc(),
    Therapist.median_answer_s,
    where=Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden,
)

TABLES: tuple[type[Table], ...] = (
    Therapist, Window, TimeOff, Client, Booking, HeldTime, TimelineEntry, LedgerLine, Writing,
    StandingEntry, OutboxEmail, SignIn, IdempotentAnswer, Heartbeat, Suppression, Hold,
)  # fmt: skip

"""Tables of people: therapists with their availability, and clients."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    ModelSelect,
    TextField,
)

from app import config
from app.rules import answer_history, ranking
from app.rules.first_steps import Step, read_steps, write_steps
from app.rules.search_key import search_key
from app.store.models.base import Table, add_index
from app.store.models.fields import EncryptedTextField, InstantField


class AccountState(StrEnum):
    """What an account lets its therapist do, the strongest restriction first."""

    DEACTIVATED = "deactivated"
    PAUSED = "paused"
    HIDDEN = "hidden"
    ACTIVE = "active"


def _link_holder(letter: str, person_id: int, links_epoch: int) -> str:
    # Links of release 0.1 name the person alone; they last until the first change.
    return f"{letter}{person_id}" if links_epoch == 1 else f"{letter}{person_id}.{links_epoch}"


@dataclass(frozen=True, slots=True)
class OpsPerson:
    """Somebody of OPS_SIGN_IN: known by that address alone, and in no table of people."""

    email: str

    @property
    def link_holder(self) -> str:
        # The link's subject is random and names the row, which has the address.
        return "ops"


class Therapist(Table):
    # The row is the lock on all their bookings.

    if TYPE_CHECKING:
        windows: "ModelSelect[Window]"

    slug = CharField(max_length=64, unique=True)
    name = CharField(max_length=120)
    # The only name of theirs that emails and client pages use.
    given_name = CharField(max_length=120)
    email = CharField(max_length=254)
    # `email_key(email)`: the identity of the address.
    email_key = CharField(max_length=254, unique=True)
    # IANA name; availability is in this zone.
    timezone = CharField(max_length=64)
    # Price of a paid session; a booking keeps the rate at its request.
    rate_minor = IntegerField()
    currency = CharField(max_length=3)
    offers_free_consultation = BooleanField(default=True)
    meeting_url = CharField(max_length=500, null=True)
    headline = CharField(max_length=200, default="")
    about = TextField(default="")
    # Comma separated.
    specialisms = CharField(max_length=500, default="")
    # Degrees and registrations, as the therapist writes them.
    qualifications = CharField(max_length=300, default="")
    # Comma separated, in their English or own names.
    languages = CharField(max_length=200, default="")
    # `search_key` of these columns, since SQLite knows letter case in ASCII only.
    name_search = TextField(default="")
    specialisms_search = TextField(default="")
    languages_search = TextField(default="")
    # Names the present photo (TherapistPhoto.key); null where there is none.
    photo_key = CharField(max_length=32, null=True)
    # Temporarily deactivated by the therapist: not listed, takes no new bookings.
    is_paused = BooleanField(default=False)
    # Not listed, but can be booked by direct link.
    is_hidden = BooleanField(default=False)
    # Set by too many cancellations in a row; only ops reactivates.
    deactivated_at = InstantField(null=True)
    # Set by cancellations in a row; lifted by the next completed session.
    flagged_at = InstantField(null=True)
    # Sessions that the therapist cancelled in a row.
    streak = IntegerField(default=0)
    # The last step of standing that was announced: 0 none, 1 warned, 2 flagged, 3 deactivated.
    streak_told = IntegerField(default=0)
    # Since when the scheduler has to apply the standing rules; null if nothing changed.
    standing_due_at = InstantField(null=True)
    # Ranking from 0 to 100, unrounded.
    score = DoubleField(default=100.0)
    # Ranking's first tie-break; three hours while nothing was answered.
    median_answer_s = IntegerField(default=10_800)
    # How many answers and expiries that median is of.
    answers_counted = IntegerField(default=0)
    ranked_at = InstantField(null=True)
    # When the score has to be computed next: something happened, or time alone changes it.
    ranking_due_at = InstantField(null=True)
    # Random; with the date it orders therapists of equal score, so that they take turns.
    tie_seed = BigIntegerField()
    created_at = InstantField()
    # Raised with each change of the address, which ends all links that were sent to it.
    links_epoch = IntegerField(default=1)
    # Raised by ops to end the mail door's addresses that this person knows.
    addresses_epoch = IntegerField(default=1)
    # The steps of `rules.first_steps` that are done, comma separated; they stay done.
    first_steps = CharField(max_length=64, default="")

    @property
    def link_holder(self) -> str:
        """How a link names them as the one it was sent to."""
        return _link_holder("t", self.id, self.links_epoch)

    def save(self, *args: Any, **options: Any) -> Any:
        for field in (Therapist.name, Therapist.specialisms, Therapist.languages):
            if field in self.dirty_fields:
                setattr(self, f"{field.name}_search", search_key(getattr(self, field.name)))
        return super().save(*args, **options)

    @property
    def steps_done(self) -> frozenset[Step]:
        return read_steps(self.first_steps)

    @steps_done.setter
    def steps_done(self, done: frozenset[Step]) -> None:
        self.first_steps = write_steps(done)

    @property
    def erased_address(self) -> str:
        """What takes the place of the address when the therapist is erased."""
        return f"erased-therapist-{self.id}@erased.invalid"

    @property
    def is_erased(self) -> bool:
        return self.email_key == self.erased_address

    @property
    def is_deactivated(self) -> bool:
        return self.deactivated_at is not None

    @property
    def is_flagged(self) -> bool:
        return self.flagged_at is not None

    @property
    def state(self) -> AccountState:
        if self.is_deactivated:
            return AccountState.DEACTIVATED
        if self.is_paused:
            return AccountState.PAUSED
        return AccountState.HIDDEN if self.is_hidden else AccountState.ACTIVE

    @property
    def takes_bookings(self) -> bool:
        return self.state in (AccountState.ACTIVE, AccountState.HIDDEN)

    @property
    def usual_answer_time(self) -> timedelta | None:
        median, policy = timedelta(seconds=self.median_answer_s), config.current().policy
        return answer_history.usual_answer_time(median, self.answers_counted, policy)

    @property
    def shown_score(self) -> Decimal:
        # repr() gives the shortest decimal: in binary, 87.35 is just below the half.
        return ranking.rounded(Fraction(repr(self.score)))


class Window(Table):
    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, backref="windows", on_delete="CASCADE")
    # 0 is Monday.
    weekday = IntegerField()
    # Minutes of the local day, 0 to 1440; the end is not included.
    start_minute = IntegerField()
    end_minute = IntegerField()

    class Meta:
        table_name = "availability"
        indexes = ((("therapist", "weekday", "start_minute"), True),)


class TimeOff(Table):
    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, backref="time_off", on_delete="CASCADE", index=False)
    starts_at = InstantField()
    ends_at = InstantField()

    class Meta:
        # Open times: time off of a therapist that has not ended.
        indexes = ((("therapist", "ends_at"), False),)


class TherapistPhone(Table):
    # For ops alone, so a table of its own: what reads a therapist does not read the number.

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
    # As `validation.phone` writes it.
    number = EncryptedTextField(bound_to=("therapist",))


class TherapistPhoto(Table):
    # A table of its own: what reads a therapist does not read the pictures.

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
    # Part of its address; a hash, so another photo has another address.
    key = CharField(max_length=32, unique=True)
    # Square WebP, without metadata: for lists, and for the therapist's own page.
    small = BlobField()
    large = BlobField()
    uploaded_at = InstantField()


class CalendarFeed(Table):
    """A private address at which calendar programs read a therapist's sessions."""

    if TYPE_CHECKING:
        therapist_id: int

    therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
    # SHA-256 of the secret in the address, by which it is found.
    secret_hash = CharField(max_length=64, unique=True)
    # Shown to the therapist again, for a second device.
    secret = EncryptedTextField(bound_to=("therapist", "secret_hash"))
    # Whether titles say the client's given name; otherwise only that the time is taken.
    shows_names = BooleanField()
    created_at = InstantField()


class Client(Table):
    """A person who requests sessions, identified by their email address.

    Their names and time zone belong to their bookings.
    """

    email = CharField(max_length=254)
    # `email_key(email)`: the identity of the address.
    email_key = CharField(max_length=254, unique=True)
    created_at = InstantField()
    # As Therapist's.
    links_epoch = IntegerField(default=1)
    addresses_epoch = IntegerField(default=1)

    @property
    def link_holder(self) -> str:
        return _link_holder("c", self.id, self.links_epoch)

    @property
    def erased_address(self) -> str:
        """What takes the place of the address when the client is erased."""
        return f"erased-{self.id}@erased.invalid"

    @property
    def is_erased(self) -> bool:
        return self.email_key == self.erased_address


# Job apply_standing: therapists whose standing has to be applied.
add_index(
    Therapist,
    "therapist_standing_due",
    Therapist.standing_due_at,
    where=Therapist.standing_due_at.is_null(False),
)
# Job apply_standing: therapists whose score has to be computed.
add_index(
    Therapist,
    "therapist_ranking_due",
    Therapist.ranking_due_at,
    where=Therapist.ranking_due_at.is_null(False),
)
_listed = Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden
# Find a Therapist: listed therapists, best first.
add_index(
    Therapist,
    "therapist_listed",
    Therapist.score.desc(),
    Therapist.median_answer_s,
    where=_listed,
)
# The same, the cheapest first.
add_index(
    Therapist,
    "therapist_price",
    Therapist.rate_minor,
    Therapist.score.desc(),
    Therapist.median_answer_s,
    where=_listed,
)

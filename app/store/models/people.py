"""The people: therapists with their times, clients, and how therapists sign in."""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    ModelSelect,
    TextField,
)

from app.rules import ranking
from app.store.models.base import Table, partial
from app.store.models.fields import InstantField


class AccountState(StrEnum):
    """What an account lets its therapist do, the strongest restriction first."""

    DEACTIVATED = "deactivated"
    PAUSED = "paused"
    HIDDEN = "hidden"
    ACTIVE = "active"


def _given_name(name: str) -> str:
    return name.split(maxsplit=1)[0]


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

    @property
    def given_name(self) -> str:
        """The only name of theirs that emails and client pages use."""
        return _given_name(self.name)

    @property
    def is_deactivated(self) -> bool:
        """Whether too many cancellations closed the account; only ops reactivates it."""
        return self.deactivated_at is not None

    @property
    def is_flagged(self) -> bool:
        """Whether cancellations halve the ranking until a session is completed."""
        return self.flagged_at is not None

    @property
    def state(self) -> AccountState:
        """The strongest restriction that applies."""
        if self.is_deactivated:
            return AccountState.DEACTIVATED
        if self.is_paused:
            return AccountState.PAUSED
        return AccountState.HIDDEN if self.is_hidden else AccountState.ACTIVE

    @property
    def takes_bookings(self) -> bool:
        """Whether sessions can be requested, by direct link at least."""
        return self.state in (AccountState.ACTIVE, AccountState.HIDDEN)

    @property
    def shown_score(self) -> Decimal:
        """The stored score, rounded half up to one decimal."""
        # repr() gives the shortest decimal: in binary, 87.35 is just below the half.
        return ranking.rounded(Fraction(repr(self.score)))


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

    @property
    def given_name(self) -> str:
        """The only name of theirs that emails use."""
        return _given_name(self.name)

    @property
    def erased_address(self) -> str:
        """What takes the place of the address when the client is erased."""
        return f"erased-{self.id}@erased.invalid"

    @property
    def is_erased(self) -> bool:
        """Whether only the ledger is kept about them; no email can reach them."""
        return self.email_key == self.erased_address


class SignIn(Table):
    """A sign-in that was asked for; it opens one session, once."""

    if TYPE_CHECKING:
        therapist_id: int

    key = CharField(max_length=32, unique=True)
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
    next_path = CharField(max_length=200)
    created_at = InstantField()
    used_at = InstantField(null=True)


partial(
    Therapist,
    "therapist_standing_due",
    Therapist.standing_due_at,
    where=Therapist.standing_due_at.is_null(False),
)
partial(
    Therapist,
    "therapist_ranking_due",
    Therapist.ranking_due_at,
    where=Therapist.ranking_due_at.is_null(False),
)
partial(
    Therapist,
    "therapist_listed",
    Therapist.score.desc(),
    Therapist.median_answer_s,
    where=Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden,
)

"""Tables of signing in: the links that were asked for, and the sessions that they opened."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BooleanField, CharField, Check, ForeignKeyField

from app.store.models.base import Table, add_index
from app.store.models.fields import InstantField
from app.store.models.outbox import OutboxEmail
from app.store.models.people import OpsPerson, Therapist

# How long a session lasts without being used, and at most.
IDLE = timedelta(hours=12)
IDLE_IF_KEPT = timedelta(days=14)
LASTS_AT_MOST = timedelta(days=60)


class Area(StrEnum):
    """What a session opens: the dashboard of its therapist, or the ops desk."""

    DASHBOARD = "dashboard"
    OPS = "ops"


# Who signs in. A person who is both has two sessions, each of which opens one area.
Owner = Therapist | OpsPerson
_ONE_OWNER = (
    "(CASE WHEN therapist_id IS NULL THEN 0 ELSE 1 END)"
    " + (CASE WHEN ops_address IS NULL THEN 0 ELSE 1 END) = 1"
)


class _Owned(Table):
    """A row that belongs to a therapist, or to an address of OPS_SIGN_IN."""

    if TYPE_CHECKING:
        therapist_id: int | None

    therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE")
    # As OPS_SIGN_IN had it.
    ops_address = CharField(max_length=254, null=True)

    class Meta:
        constraints = (Check(_ONE_OWNER),)

    @property
    def owner(self) -> Owner:
        if self.ops_address is not None:
            return OpsPerson(self.ops_address)
        assert self.therapist is not None
        return self.therapist

    @property
    def area(self) -> Area:
        return Area.DASHBOARD if self.ops_address is None else Area.OPS


class SignIn(_Owned):
    # It opens one session, once.

    if TYPE_CHECKING:
        told_by_id: int | None

    # Random; what the link's token names.
    key = CharField(max_length=32, unique=True)
    # Where its owner goes after signing in: a path of this site.
    next_path = CharField(max_length=200)
    created_at = InstantField()
    # The email that carries its link; null where release 0.1 wrote it.
    told_by = ForeignKeyField(OutboxEmail, null=True, on_delete="SET NULL")
    # Also set where another link was used first, or the address changed.
    used_at = InstantField(null=True)


class SignInSession(_Owned):
    """A browser in which somebody is signed in."""

    # SHA-256 of the cookie's random value, so that a copy of the database opens no account.
    secret_hash = CharField(max_length=64, unique=True)
    # Such as "Firefox on Windows": enough for its owner to know it again.
    browser = CharField(max_length=64)
    # Whether "keep me signed in" was ticked.
    is_kept = BooleanField()
    created_at = InstantField()
    # Written at most once every few minutes, so it may be that much too early.
    last_seen_at = InstantField()
    ended_at = InstantField(null=True)

    class Meta:
        table_name = "therapist_session"

    @property
    def expires_at(self) -> datetime:
        idle = IDLE_IF_KEPT if self.is_kept else IDLE
        return min(self.last_seen_at + idle, self.created_at + LASTS_AT_MOST)

    def is_over_at(self, now: datetime) -> bool:
        return self.ended_at is not None or now >= self.expires_at


# Job purge: links that are over, and sessions that have ended in any of three ways.
add_index(SignIn, "sign_in_created", SignIn.created_at)
add_index(
    SignInSession,
    "therapist_session_ended",
    SignInSession.ended_at,
    where=SignInSession.ended_at.is_null(False),
)
add_index(
    SignInSession,
    "therapist_session_idle",
    SignInSession.is_kept,
    SignInSession.last_seen_at,
)
add_index(SignInSession, "therapist_session_created", SignInSession.created_at)
# Those of one address of OPS_SIGN_IN, and of addresses that are no longer in it.
for _table, _name in ((SignIn, "sign_in_ops"), (SignInSession, "therapist_session_ops")):
    add_index(_table, _name, _table.ops_address, where=_table.ops_address.is_null(False))

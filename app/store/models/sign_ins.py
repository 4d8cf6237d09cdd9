"""Tables of signing in: the links that therapists asked for, and the sessions they opened."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from peewee import BooleanField, CharField, ForeignKeyField

from app.store.models.base import Table, add_index
from app.store.models.fields import InstantField
from app.store.models.outbox import OutboxEmail
from app.store.models.people import Therapist

# How long a session lasts without being used, and at most.
IDLE = timedelta(hours=12)
IDLE_IF_KEPT = timedelta(days=14)
LASTS_AT_MOST = timedelta(days=60)


class SignIn(Table):
    # It opens one session, once.

    if TYPE_CHECKING:
        therapist_id: int
        told_by_id: int | None

    # Random; what the link's token names.
    key = CharField(max_length=32, unique=True)
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
    # Where the therapist goes after signing in: a path of this site.
    next_path = CharField(max_length=200)
    created_at = InstantField()
    # The email that carries its link; null where release 0.1 wrote it.
    told_by = ForeignKeyField(OutboxEmail, null=True, on_delete="SET NULL")
    # Also set where another link was used first, or the address changed.
    used_at = InstantField(null=True)


class TherapistSession(Table):
    """A browser in which a therapist is signed in."""

    if TYPE_CHECKING:
        therapist_id: int

    # SHA-256 of the cookie's random value, so that a copy of the database opens no account.
    secret_hash = CharField(max_length=64, unique=True)
    therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
    # Such as "Firefox on Windows": enough for its owner to know it again.
    browser = CharField(max_length=64)
    # Whether "keep me signed in" was ticked.
    is_kept = BooleanField()
    created_at = InstantField()
    # Written at most once every few minutes, so it may be that much too early.
    last_seen_at = InstantField()
    ended_at = InstantField(null=True)

    @property
    def expires_at(self) -> datetime:
        idle = IDLE_IF_KEPT if self.is_kept else IDLE
        return min(self.last_seen_at + idle, self.created_at + LASTS_AT_MOST)

    def is_over_at(self, now: datetime) -> bool:
        return self.ended_at is not None or now >= self.expires_at


# Job purge: links that are over, and sessions that have ended in any of three ways.
add_index(SignIn, "sign_in_created", SignIn.created_at)
add_index(
    TherapistSession,
    "therapist_session_ended",
    TherapistSession.ended_at,
    where=TherapistSession.ended_at.is_null(False),
)
add_index(
    TherapistSession,
    "therapist_session_idle",
    TherapistSession.is_kept,
    TherapistSession.last_seen_at,
)
add_index(TherapistSession, "therapist_session_created", TherapistSession.created_at)

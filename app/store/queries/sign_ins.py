"""Therapists' sessions: finding one, those that last, those that are over."""

from datetime import datetime

from peewee import Expression

from app.store.models import Therapist, TherapistSession
from app.store.models.sign_ins import IDLE, IDLE_IF_KEPT, LASTS_AT_MOST


def session_by_secret_hash(secret_hash: str) -> TherapistSession | None:
    """With its therapist."""
    session: TherapistSession | None = (
        TherapistSession.select(TherapistSession, Therapist)
        .join(Therapist)
        .where(TherapistSession.secret_hash == secret_hash)
        .first()
    )
    return session


def sessions_that_last(therapist: Therapist, now: datetime) -> list[TherapistSession]:
    """The one used last comes first."""
    theirs = TherapistSession.select().where(
        TherapistSession.therapist == therapist, ~sessions_over(now)
    )
    return list(theirs.order_by(TherapistSession.last_seen_at.desc(), TherapistSession.id.desc()))


def sessions_over(now: datetime) -> Expression:
    # As TherapistSession.is_over_at.
    seen, is_kept = TherapistSession.last_seen_at, TherapistSession.is_kept
    is_over: Expression = (
        TherapistSession.ended_at.is_null(False)
        | (~is_kept & (seen <= now - IDLE))
        | (is_kept & (seen <= now - IDLE_IF_KEPT))
        | (TherapistSession.created_at <= now - LASTS_AT_MOST)
    )
    return is_over

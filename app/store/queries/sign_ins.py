"""Sign In links that are out or wait; therapists' sessions: one, those that last or are over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from peewee import Expression, ModelSelect

from app.store.db.statements import Statement
from app.store.models import OutboxEmail, OutboxStatus, SignIn, Therapist, TherapistSession
from app.store.models.sign_ins import IDLE, IDLE_IF_KEPT, LASTS_AT_MOST
from app.store.queries.locking import locking


def sign_in_email_out(therapist: Therapist, since: datetime) -> OutboxEmail | None:
    """The newest email that left after `since`, or leaves now, and whose link is not used."""
    is_out = (OutboxEmail.status == OutboxStatus.SENDING) | (
        (OutboxEmail.status == OutboxStatus.SENT) & (OutboxEmail.settled_at > since)
    )
    newest = OutboxEmail.id.desc()
    email: OutboxEmail | None = _sign_in_emails(therapist).where(is_out).order_by(newest).first()
    return email


def locked_waiting_sign_in(therapist: Therapist, since: datetime) -> OutboxEmail | None:
    """The email that has not left yet and was asked for after `since`; the lock keeps it."""
    is_waiting = (OutboxEmail.status == OutboxStatus.QUEUED) & (OutboxEmail.created_at > since)
    newest = OutboxEmail.id.desc()
    waiting = _sign_in_emails(therapist).where(is_waiting).order_by(newest).limit(1)
    email: OutboxEmail | None = locking(waiting).first()
    return email


def _sign_in_emails(therapist: Therapist) -> "ModelSelect[OutboxEmail]":
    unused = (SignIn.therapist == therapist) & SignIn.used_at.is_null()
    return OutboxEmail.select().where(
        OutboxEmail.id.in_(SignIn.select(SignIn.told_by).where(unused))
    )


_BY_SECRET = Statement[TherapistSession](
    lambda secret_hash: (
        TherapistSession.select(TherapistSession, Therapist)
        .join(Therapist)
        .where(TherapistSession.secret_hash == secret_hash)
    )
)


def session_by_secret_hash(secret_hash: str) -> TherapistSession | None:
    """With its therapist."""
    return _BY_SECRET.first(secret_hash)


def sessions_that_last(therapist: Therapist, now: datetime) -> list[TherapistSession]:
    """The one used last comes first."""
    theirs = TherapistSession.select().where(
        TherapistSession.therapist == therapist, ~sessions_over(now)
    )
    return list(theirs.order_by(TherapistSession.last_seen_at.desc(), TherapistSession.id.desc()))


def sessions_over(now: datetime) -> Expression:
    """As TherapistSession.is_over_at."""
    return reduce(or_, (is_over(now - after) for is_over, after in WAYS_SESSIONS_END))


_seen, _is_kept = TherapistSession.last_seen_at, TherapistSession.is_kept
# Conditions on a moment so long ago. One by one, because SQLite uses an index for each and none
# for all together. `is_kept` is compared, not negated: the index begins with it.
WAYS_SESSIONS_END: tuple[tuple[Callable[[Any], Expression], timedelta], ...] = (
    (lambda _: TherapistSession.ended_at.is_null(False), timedelta(0)),
    (lambda before: (_is_kept == False) & (_seen <= before), IDLE),  # noqa: E712 - SQL
    (lambda before: (_is_kept == True) & (_seen <= before), IDLE_IF_KEPT),  # noqa: E712 - SQL
    (lambda before: TherapistSession.created_at <= before, LASTS_AT_MOST),
)

"""Sign In links that are out or wait; sessions: one, those that last or are over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from peewee import JOIN, Expression, ModelSelect

from app.store.db.statements import Statement
from app.store.models import (
    OpsPerson,
    OutboxEmail,
    OutboxStatus,
    SignIn,
    SignInSession,
    Therapist,
)
from app.store.models.sign_ins import IDLE, IDLE_IF_KEPT, LASTS_AT_MOST, Owner
from app.store.queries.locking import locking


def sign_in_email_out(owner: Owner, since: datetime) -> OutboxEmail | None:
    """The newest email that left after `since`, or leaves now, and whose link is not used."""
    is_out = (OutboxEmail.status == OutboxStatus.SENDING) | (
        (OutboxEmail.status == OutboxStatus.SENT) & (OutboxEmail.settled_at > since)
    )
    newest = OutboxEmail.id.desc()
    email: OutboxEmail | None = _sign_in_emails(owner).where(is_out).order_by(newest).first()
    return email


def locked_waiting_sign_in(owner: Owner, since: datetime) -> OutboxEmail | None:
    """The email that has not left yet and was asked for after `since`; the lock keeps it."""
    is_waiting = (OutboxEmail.status == OutboxStatus.QUEUED) & (OutboxEmail.created_at > since)
    newest = OutboxEmail.id.desc()
    waiting = _sign_in_emails(owner).where(is_waiting).order_by(newest).limit(1)
    email: OutboxEmail | None = locking(waiting).first()
    return email


def unused_sign_ins(owner: Owner) -> Expression:
    return _of_owner(SignIn, owner) & SignIn.used_at.is_null()


def _of_owner(table: type[SignIn | SignInSession], owner: Owner) -> Expression:
    is_theirs: Expression = (
        table.ops_address == owner.email
        if isinstance(owner, OpsPerson)
        else table.therapist == owner
    )
    return is_theirs


def _sign_in_emails(owner: Owner) -> "ModelSelect[OutboxEmail]":
    unused = unused_sign_ins(owner)
    return OutboxEmail.select().where(
        OutboxEmail.id.in_(SignIn.select(SignIn.told_by).where(unused))
    )


_BY_SECRET = Statement[SignInSession](
    lambda secret_hash: (
        SignInSession.select(SignInSession, Therapist)
        .join(Therapist, JOIN.LEFT_OUTER)
        .where(SignInSession.secret_hash == secret_hash)
    )
)


def session_by_secret_hash(secret_hash: str) -> SignInSession | None:
    """With its therapist, if it is a therapist's."""
    return _BY_SECRET.first(secret_hash)


def sessions_that_last(owner: Owner, now: datetime) -> list[SignInSession]:
    """The one used last comes first."""
    is_theirs = _of_owner(SignInSession, owner)
    lasting = SignInSession.select().where(is_theirs, ~sessions_over(now))
    return list(lasting.order_by(SignInSession.last_seen_at.desc(), SignInSession.id.desc()))


def ops_addresses_signed_in(now: datetime) -> list[str]:
    """Addresses with a session on the ops desk, or a Sign In link to it."""
    found: set[str] = set()
    for table, is_open in (
        (SignInSession, ~sessions_over(now)),
        (SignIn, SignIn.used_at.is_null()),
    ):
        rows = table.select(table.ops_address).where(table.ops_address.is_null(False), is_open)
        found |= {str(each.ops_address) for each in rows}
    return sorted(found)


def sessions_over(now: datetime) -> Expression:
    """As SignInSession.is_over_at."""
    return reduce(or_, (is_over(now - after) for is_over, after in WAYS_SESSIONS_END))


_seen, _is_kept = SignInSession.last_seen_at, SignInSession.is_kept
# Conditions on a moment so long ago. One by one, because SQLite uses an index for each and none
# for all together. `is_kept` is compared, not negated: the index begins with it.
WAYS_SESSIONS_END: tuple[tuple[Callable[[Any], Expression], timedelta], ...] = (
    (lambda _: SignInSession.ended_at.is_null(False), timedelta(0)),
    (lambda before: (_is_kept == False) & (_seen <= before), IDLE),  # noqa: E712 - SQL
    (lambda before: (_is_kept == True) & (_seen <= before), IDLE_IF_KEPT),  # noqa: E712 - SQL
    (lambda before: SignInSession.created_at <= before, LASTS_AT_MOST),
)

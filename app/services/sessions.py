"""Sessions of who is signed in: started, found again by the cookie's secret, ended."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import structlog

from app.services import access_trail
from app.services.access_trail import Access
from app.services.ops.people import may_sign_in
from app.store import queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import (
    AccessEvent,
    Area,
    OpsPerson,
    Party,
    SignIn,
    SignInSession,
    Therapist,
)
from app.store.models.sign_ins import Owner

SEEN_EVERY = timedelta(minutes=3)
_BROWSER_LENGTH = 64

_log = structlog.get_logger("mindsum")


def start(owner: Owner, *, browser: str, is_kept: bool, now: datetime) -> str:
    """The secret for the cookie; only its hash is stored. In the caller's transaction."""
    secret = secrets.token_urlsafe(32)
    SignInSession.create(
        secret_hash=_hash(secret),
        **columns_of(owner),
        browser=browser[:_BROWSER_LENGTH],
        is_kept=is_kept,
        created_at=now,
        last_seen_at=now,
    )
    _record(AccessEvent.SIGNED_IN, owner, now)
    return secret


def columns_of(owner: Owner) -> dict[str, Any]:
    """The columns of SignIn and SignInSession that say whose it is."""
    is_ops = isinstance(owner, OpsPerson)
    return {"ops_address": owner.email} if is_ops else {"therapist": owner}


def find(secret: str, now: datetime, area: Area = Area.DASHBOARD) -> SignInSession | None:
    """None too for a session that is over, or opens another area."""
    session = queries.session_by_secret_hash(_hash(secret))
    if session is None or session.is_over_at(now) or session.area is not area:
        return None
    if not may_sign_in(session.owner):
        # Otherwise it would live again with its address back in OPS_SIGN_IN.
        end(session.owner, session.id, now)
        return None
    return session


def record_use(session: SignInSession, now: datetime) -> None:
    if now - session.last_seen_at >= SEEN_EVERY:
        _set_last_seen(session.id, now)


@in_transaction
def _set_last_seen(session_id: int, now: datetime) -> None:
    SignInSession.update(last_seen_at=now).where(SignInSession.id == session_id).execute()


@in_transaction
def end(owner: Owner, session_id: int, now: datetime) -> bool:
    """False where it has ended already or is another person's."""
    return bool(_end(owner, now, session_id))


@in_transaction
def end_all(slug: str | None, now: datetime) -> int:
    """How many sessions ended; Sign In links not used yet end too. None: of everybody, ops too.

    Raises NotFound.
    """
    if slug is not None:
        return end_all_of(queries.locked_therapist_by_slug(slug), now)
    therapists = sorted(each.id for each in queries.every_therapist())
    ended = sum(end_all_of(queries.locked_therapist(each), now) for each in therapists)
    ops = map(OpsPerson, queries.ops_addresses_signed_in(now))
    return ended + sum(end_all_of(each, now) for each in ops)


@in_transaction
def end_unlisted(now: datetime) -> None:
    """End what belongs to addresses that are no longer in OPS_SIGN_IN."""
    for each in map(OpsPerson, queries.ops_addresses_signed_in(now)):
        if not may_sign_in(each):
            end_all_of(each, now)


@in_transaction
def end_all_of(owner: Owner, now: datetime) -> int:
    # A therapist is locked by the caller: no session starts beside it.
    SignIn.update(used_at=now).where(queries.unused_sign_ins(owner)).execute()
    return _end(owner, now)


def _end(owner: Owner, now: datetime, session_id: int | None = None) -> int:
    ids = [each.id for each in queries.sessions_that_last(owner, now)]
    ending = [each for each in ids if session_id in (None, each)]
    lasting = SignInSession.id.in_(ending) & SignInSession.ended_at.is_null()
    ended = int(SignInSession.update(ended_at=now).where(lasting).execute())
    if ended:
        _record(AccessEvent.SIGNED_OUT, owner, now, sessions=ended)
    return ended


def _record(event: AccessEvent, owner: Owner, now: datetime, **facts: int) -> None:
    access_trail.record(access_of(event, owner), now)
    # No address in logs.
    who = {"therapist": owner.slug} if isinstance(owner, Therapist) else {"area": str(Area.OPS)}
    on_commit(lambda: _log.info(str(event), **who, **facts))


def access_of(event: AccessEvent, owner: Owner | None) -> Access:
    """What the access trail says of signing in and out."""
    if isinstance(owner, OpsPerson):
        # Anybody can ask for a link.
        by = None if event is AccessEvent.SIGN_IN_ASKED else Party.OPS
        return Access(event, by=by, ops_address=owner.email)
    return Access(event, therapist=owner)


def _hash(secret: str) -> str:
    # Random already, so it needs no salt and no slow hash.
    return sha256(secret.encode()).hexdigest()

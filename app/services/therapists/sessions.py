"""Sessions of signed-in therapists: started, found again by the cookie's secret, ended."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

import structlog

from app.services import access_trail
from app.services.access_trail import Access
from app.store import queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import AccessEvent, SignIn, Therapist, TherapistSession

SEEN_EVERY = timedelta(minutes=3)
_BROWSER_LENGTH = 64

_log = structlog.get_logger("mindsum")


def start(therapist: Therapist, *, browser: str, is_kept: bool, now: datetime) -> str:
    """The secret for the cookie; only its hash is stored. In the caller's transaction."""
    secret = secrets.token_urlsafe(32)
    TherapistSession.create(
        secret_hash=_hash(secret),
        therapist=therapist,
        browser=browser[:_BROWSER_LENGTH],
        is_kept=is_kept,
        created_at=now,
        last_seen_at=now,
    )
    access_trail.record(Access(AccessEvent.SIGNED_IN, therapist=therapist), now)
    slug = therapist.slug
    on_commit(lambda: _log.info("signed_in", therapist=slug))
    return secret


def find(secret: str, now: datetime) -> TherapistSession | None:
    """None too for a session that is over."""
    session = queries.session_by_secret_hash(_hash(secret))
    return None if session is None or session.is_over_at(now) else session


def record_use(session: TherapistSession, now: datetime) -> None:
    if now - session.last_seen_at >= SEEN_EVERY:
        _set_last_seen(session.id, now)


@in_transaction
def _set_last_seen(session_id: int, now: datetime) -> None:
    TherapistSession.update(last_seen_at=now).where(TherapistSession.id == session_id).execute()


@in_transaction
def end(therapist: Therapist, session_id: int, now: datetime) -> bool:
    """False where it has ended already or is another therapist's."""
    return bool(_end(therapist, now, session_id))


@in_transaction
def end_all(slug: str | None, now: datetime) -> int:
    """How many sessions that ended; Sign In links not used yet end too. None: of all therapists.

    Raises NotFound.
    """
    if slug is not None:
        return end_all_of(queries.locked_therapist_by_slug(slug), now)
    everyone = sorted(each.id for each in queries.every_therapist())
    return sum(end_all_of(queries.locked_therapist(each), now) for each in everyone)


def end_all_of(therapist: Therapist, now: datetime) -> int:
    # In the caller's transaction, which has locked the therapist: no session starts beside it.
    unused = (SignIn.therapist == therapist) & SignIn.used_at.is_null()
    SignIn.update(used_at=now).where(unused).execute()
    return _end(therapist, now)


def _end(therapist: Therapist, now: datetime, session_id: int | None = None) -> int:
    ids = [each.id for each in queries.sessions_that_last(therapist, now)]
    ending = [each for each in ids if session_id in (None, each)]
    lasting = TherapistSession.id.in_(ending) & TherapistSession.ended_at.is_null()
    ended = int(TherapistSession.update(ended_at=now).where(lasting).execute())
    slug = therapist.slug
    if ended:
        access_trail.record(Access(AccessEvent.SIGNED_OUT, therapist=therapist), now)
        on_commit(lambda: _log.info("signed_out", therapist=slug, sessions=ended))
    return ended


def _hash(secret: str) -> str:
    # Random already, so it needs no salt and no slow hash.
    return sha256(secret.encode()).hexdigest()

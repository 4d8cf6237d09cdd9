"""Signing in by email: a therapist requests a Sign In link and uses it once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.links import LinkToken
from app.services import access_trail, asked, limits
from app.services.access_trail import Access
from app.services.therapists import sessions
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import (
    AccessEvent,
    AskedKind,
    Role,
    SignIn,
    Therapist,
    TherapistSession,
)

SIGN_IN_LASTS = timedelta(minutes=15)
# A link that ends within a minute is as good as none.
_LINK_IS_OUT = SIGN_IN_LASTS - timedelta(minutes=1)
_EMAIL = "sign_in"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`secret`: for the cookie of the new session. `next_path`: where the therapist goes now."""

    therapist: Therapist
    secret: str
    next_path: str


def ask_for_sign_in(address: str, next_path: str, now: datetime) -> None:
    """`next_path`: where the therapist goes after signing in."""
    asked.ask_for(AskedKind.SIGN_IN, address, now, about=next_path)


@in_transaction
def request_sign_in(address: str, next_path: str, now: datetime) -> None:
    """Queue a Sign In link, or merge it into one that waits; nothing for an unknown address."""
    therapist = queries.therapist_by_email(address)
    access_trail.record(Access(AccessEvent.SIGN_IN_ASKED, therapist=therapist), now)
    if therapist is None:
        return
    # It must never be refused for good: no other way in exists.
    suppressions.try_again(address)
    counted = limits.lock_emails(_EMAIL, limits.address_hash(address), now)
    out = queries.sign_in_email_out(therapist, now - _LINK_IS_OUT)
    waiting = queries.locked_waiting_sign_in(therapist, now - SIGN_IN_LASTS)
    if waiting is not None:
        SignIn.update(next_path=next_path).where(SignIn.told_by == waiting).execute()
        limits.merge(waiting, counted, now, is_link_out=out is not None)
        return
    leaves_at = limits.next_email_at(counted, now, is_link_out=out is not None)
    if out is not None:
        # Once that link ends, one always goes.
        leaves_at = min(leaves_at, (out.settled_at or now) + _LINK_IS_OUT)
    _queue_sign_in(therapist, next_path, now, leaves_at)


def _queue_sign_in(
    therapist: Therapist, next_path: str, now: datetime, leaves_at: datetime
) -> None:
    key = secrets.token_urlsafe(16)
    email = outbox.enqueue(
        _EMAIL,
        Role.THERAPIST,
        therapist=therapist,
        # Random, since row ids return after a restore and Message-IDs must not.
        about=f"sign-in-{secrets.token_hex(8)}",
        ordinal=outbox.random_ordinal(),
        facts={"key": key},
        not_before=leaves_at,
        now=now,
    )
    SignIn.create(key=key, therapist=therapist, next_path=next_path, told_by=email, created_at=now)


def usable_sign_in(link: LinkToken, now: datetime) -> SignIn | None:
    sign_in: SignIn | None = SignIn.get_or_none(SignIn.key == link.subject)
    if sign_in is None or sign_in.used_at is not None:
        return None
    if link.holder != sign_in.therapist.link_holder:
        return None
    return None if now - link.minted_at >= SIGN_IN_LASTS else sign_in


@in_transaction
def use_sign_in(
    link: LinkToken,
    now: datetime,
    *,
    browser: str,
    is_kept: bool,
    replaces: TherapistSession | None = None,
) -> SignedIn | None:
    """Start a session, and end `replaces`, the one that the same browser had until now."""
    sign_in = usable_sign_in(link, now)
    if sign_in is None:
        return None
    # Of two clicks at the same moment, one goes first; so does one of a click and a new address.
    therapist = queries.locked_therapist(sign_in.therapist_id)
    unused = (SignIn.therapist == therapist) & SignIn.used_at.is_null()
    if not SignIn.update(used_at=now).where(unused, SignIn.id == sign_in.id).execute():
        return None
    # Older links in the mailbox are of no more use, so they open nothing for others either.
    SignIn.update(used_at=now).where(unused, SignIn.id < sign_in.id).execute()
    if replaces is not None:
        sessions.end(replaces.therapist, replaces.id, now)
    secret = sessions.start(therapist, browser=browser, is_kept=is_kept, now=now)
    return SignedIn(therapist, secret, sign_in.next_path)

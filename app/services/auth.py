"""Signing in by email: a therapist or ops requests a Sign In link and uses it once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.links import LinkToken
from app.services import access_trail, email_requests, limits, sessions
from app.services.ops.people import may_sign_in, ops_person
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import (
    AccessEvent,
    Area,
    EmailRequestKind,
    OpsPerson,
    OutboxEmail,
    Role,
    SignIn,
    SignInSession,
    Therapist,
)
from app.store.models.sign_ins import Owner

SIGN_IN_LASTS = timedelta(minutes=15)
# A link that ends within a minute is as good as none.
_LINK_IS_OUT = SIGN_IN_LASTS - timedelta(minutes=1)
# The kind of email that carries the link to each area.
_EMAILS = {Area.DASHBOARD: "sign_in", Area.OPS: "ops_sign_in"}
_KINDS = {Area.DASHBOARD: EmailRequestKind.SIGN_IN, Area.OPS: EmailRequestKind.OPS_SIGN_IN}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`secret`: for the cookie of the new session. `next_path`: where its owner goes now."""

    owner: Owner
    area: Area
    secret: str
    next_path: str


def ask_for_sign_in(
    address: str, next_path: str, now: datetime, area: Area = Area.DASHBOARD
) -> None:
    """`next_path`: where its owner goes after signing in."""
    email_requests.create(_KINDS[area], address, now, about=next_path)


@in_transaction
def request_sign_in(
    address: str, next_path: str, now: datetime, area: Area = Area.DASHBOARD
) -> None:
    """Queue a Sign In link, or merge it into one that waits; nothing for an unknown address."""
    owner: Owner | None = (
        ops_person(address) if area is Area.OPS else queries.therapist_by_email(address)
    )
    access_trail.record(sessions.access_of(AccessEvent.SIGN_IN_ASKED, owner), now)
    if owner is None:
        return
    # It must never be refused for good: no other way in exists.
    suppressions.try_again(address)
    counted = limits.lock_emails(_EMAILS[area], limits.address_hash(address), now)
    out = queries.sign_in_email_out(owner, now - _LINK_IS_OUT)
    waiting = queries.locked_waiting_sign_in(owner, now - SIGN_IN_LASTS)
    if waiting is not None:
        SignIn.update(next_path=next_path).where(SignIn.told_by == waiting).execute()
        limits.merge(waiting, counted, now, is_link_out=out is not None)
        return
    leaves_at = limits.next_email_at(counted, now, is_link_out=out is not None)
    if out is not None:
        # Once that link ends, one always goes.
        leaves_at = min(leaves_at, (out.settled_at or now) + _LINK_IS_OUT)
    key = secrets.token_urlsafe(16)
    told_by = _queue_email(owner, key, now, leaves_at)
    SignIn.create(
        key=key,
        **sessions.columns_of(owner),
        next_path=next_path,
        told_by=told_by,
        created_at=now,
    )


def _queue_email(owner: Owner, key: str, now: datetime, leaves_at: datetime) -> OutboxEmail:
    is_ops = isinstance(owner, OpsPerson)
    return outbox.enqueue(
        _EMAILS[Area.OPS if is_ops else Area.DASHBOARD],
        Role.OPS if is_ops else Role.THERAPIST,
        therapist=None if is_ops else owner,
        # Random, since row ids return after a restore and Message-IDs must not.
        about=f"sign-in-{secrets.token_hex(8)}",
        ordinal=outbox.random_ordinal(),
        facts={"key": key, "to": owner.email} if is_ops else {"key": key},
        not_before=leaves_at,
        now=now,
    )


def usable_sign_in(link: LinkToken, now: datetime) -> SignIn | None:
    sign_in: SignIn | None = SignIn.get_or_none(SignIn.key == link.subject)
    if sign_in is None or sign_in.used_at is not None:
        return None
    owner = sign_in.owner
    if link.holder != owner.link_holder or not may_sign_in(owner):
        return None
    return None if now - link.minted_at >= SIGN_IN_LASTS else sign_in


@in_transaction
def use_sign_in(
    link: LinkToken,
    now: datetime,
    *,
    browser: str,
    is_kept: bool,
    replaces: SignInSession | None = None,
) -> SignedIn | None:
    """Start a session, and end `replaces`, the one that the same browser had until now."""
    sign_in = usable_sign_in(link, now)
    if sign_in is None:
        return None
    owner = sign_in.owner
    if isinstance(owner, Therapist):
        # Of two clicks at the same moment, one goes first; so does one of a click and a new
        # address.
        owner = queries.locked_therapist(owner.id)
    unused = queries.unused_sign_ins(owner)
    if not SignIn.update(used_at=now).where(unused, SignIn.id == sign_in.id).execute():
        return None
    # Older links in the mailbox are of no more use, so they open nothing for others either.
    SignIn.update(used_at=now).where(unused, SignIn.id < sign_in.id).execute()
    if replaces is not None:
        sessions.end(replaces.owner, replaces.id, now)
    secret = sessions.start(owner, browser=browser, is_kept=is_kept, now=now)
    return SignedIn(owner, sign_in.area, secret, sign_in.next_path)

"""Signing in by email: a therapist requests a Sign In link and uses it once."""

import secrets
from datetime import datetime, timedelta

from app.links import LinkPurpose, LinkToken, holder_of
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.models import Role, SignIn

SIGN_IN_LASTS = timedelta(minutes=15)


@in_transaction
def request_sign_in(address: str, next_path: str, now: datetime) -> None:
    """`next_path`: where the therapist goes after signing in."""
    # The answer does not depend on the address, so that it does not reveal who has an account.
    therapist = queries.therapist_by_email(address)
    if therapist is None:
        return
    sign_in = SignIn.create(
        key=secrets.token_urlsafe(16), therapist=therapist, next_path=next_path, created_at=now
    )
    outbox.enqueue(
        "sign_in",
        Role.THERAPIST,
        therapist=therapist,
        # Random, since row ids return after a restore and Message-IDs must not.
        about=f"sign-in-{secrets.token_hex(8)}",
        ordinal=outbox.random_ordinal(),
        facts={"key": sign_in.key},
        now=now,
    )


def usable_sign_in(link: LinkToken, now: datetime) -> SignIn | None:
    sign_in: SignIn | None = SignIn.get_or_none(SignIn.key == link.subject)
    if sign_in is None or sign_in.used_at is not None:
        return None
    if link.holder != holder_of(
        LinkPurpose.SIGN_IN, client_id=None, therapist_id=sign_in.therapist_id
    ):
        return None
    return None if now - link.minted_at >= SIGN_IN_LASTS else sign_in


@in_transaction
def use_sign_in(link: LinkToken, now: datetime) -> SignIn | None:
    sign_in = usable_sign_in(link, now)
    if sign_in is None:
        return None
    unused = (SignIn.id == sign_in.id) & SignIn.used_at.is_null()
    # Of two clicks at the same moment, one updates the row.
    return sign_in if SignIn.update(used_at=now).where(unused).execute() else None

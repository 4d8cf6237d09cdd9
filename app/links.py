"""Signed links: mint and read tokens; the only user of itsdangerous."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from app import clock, config
from app.errors import LinkInvalid

MAX_LENGTH = 400
"""Characters; a longer token is refused before any cryptography."""


class Aim(StrEnum):
    """What a token is for; each has a salt of its own."""

    SESSION = "session"
    ACCEPT = "accept"
    DECLINE = "decline"
    MANAGE = "manage"
    CHOOSE = "choose"
    SIGN_IN = "sign-in"


TO_CLIENTS = frozenset({Aim.MANAGE, Aim.CHOOSE})
"""Links that clients are sent; all others are for therapists."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a valid token says: for whom, which booking (or sign-in), which epoch, minted when."""

    aim: Aim
    holder: str
    subject: str
    epoch: int
    minted_at: datetime


class _Signer(TimestampSigner):
    """Signs with the clock that the rest of the house goes by, so that a moved clock counts."""

    def get_timestamp(self) -> int:
        return int(clock.now().timestamp())


@lru_cache(maxsize=32)
def _serializer(aim: Aim, keys: tuple[str, ...]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(keys),
        salt=f"mindsum.link.{aim}",
        signer=_Signer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _keys() -> tuple[str, ...]:
    settings = config.current()
    return (*reversed(settings.secret_key_fallbacks), settings.secret_key)


def holder_of(aim: Aim, *, client_id: int | None, therapist_id: int | None) -> str:
    """Whose a link is: "c12" where clients are sent it, otherwise "t7"."""
    return f"c{client_id}" if aim in TO_CLIENTS else f"t{therapist_id}"


def mint(aim: Aim, *, holder: str, subject: str, epoch: int = 1) -> str:
    """A token for `holder` (see holder_of) that does `aim` to `subject` and nothing else."""
    token = _serializer(aim, _keys()).dumps([holder, subject, epoch])
    return token.decode() if isinstance(token, bytes) else token


def read(aim: Aim, token: str) -> Ticket:
    """What the token says. Raises LinkInvalid where it is cut, forged or for another purpose."""
    if len(token) > MAX_LENGTH:
        raise LinkInvalid("The link is too long to be one of ours.")
    try:
        payload, minted_at = _serializer(aim, _keys()).loads(token, return_timestamp=True)
        holder, subject, epoch = _shape(payload)
    except (BadData, ValueError):
        raise LinkInvalid("The link is incomplete, or was not made for this.") from None
    return Ticket(aim, holder, subject, epoch, minted_at)


def _shape(payload: Any) -> tuple[str, str, int]:
    holder, subject, epoch = payload
    if not (isinstance(holder, str) and isinstance(subject, str) and isinstance(epoch, int)):
        raise ValueError("unknown payload")
    return holder, subject, epoch


def address(aim: Aim, *, holder: str, subject: str, epoch: int = 1) -> str:
    """The full web address of a fresh link."""
    token = mint(aim, holder=holder, subject=subject, epoch=epoch)
    return f"{config.current().public_url}/link/{aim}/{token}"

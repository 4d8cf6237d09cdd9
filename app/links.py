"""Signed links: mint and read their tokens; the only user of itsdangerous."""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

from itsdangerous import BadData, TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes

from app import clock, config
from app.errors import LinkInvalid

# A longer token is refused before any cryptography.
MAX_LENGTH = 400
# Payload (with a dot before it where it is compressed), time and signature. Decoding base64 drops
# what is not of its alphabet, so that one signature would have countless spellings.
_TOKEN = re.compile(r"\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class LinkPurpose(StrEnum):
    """What a link is for. The value is part of its address and of the salt of its signature."""

    SESSION = "session"
    ACCEPT = "accept"
    DECLINE = "decline"
    MANAGE = "manage"
    CHOOSE = "choose"
    SIGN_IN = "sign-in"
    CONFIRM = "confirm"
    # Another time: the therapist suggests some, each side takes one or keeps the old one.
    SUGGEST = "suggest"
    TAKE = "take"
    KEEP = "keep"
    AGREE = "agree"
    REFUSE = "refuse"


# Sent to clients. CONFIRM is sent to visitors, all others to therapists.
TO_CLIENTS = frozenset({LinkPurpose.MANAGE, LinkPurpose.CHOOSE, LinkPurpose.TAKE, LinkPurpose.KEEP})


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A valid token; `holder` is a person's `link_holder`, `subject` a reference or key.

    `email` is the number of the outbox email that carries the link, or whose link led to the page
    that has it; None if neither is known.
    """

    purpose: LinkPurpose
    holder: str
    subject: str
    epoch: int
    minted_at: datetime
    email: int | None = None
    is_of_page: bool = False


@dataclass(frozen=True, slots=True)
class ShownForm:
    """When a form was shown, and whether its page asked what is meant."""

    at: datetime
    is_question: bool


class _Signer(TimestampSigner):
    # The application's clock, which the demo can move.
    def get_timestamp(self) -> int:
        return int(clock.now().timestamp())

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        key = self.secret_keys[-1] if secret_key is None else want_bytes(secret_key)
        return _derived_key(self.salt, key)


# itsdangerous derives it at each link, which takes as long as to sign it.
@lru_cache(maxsize=64)
def _derived_key(salt: bytes, secret_key: bytes) -> bytes:
    return hmac.digest(secret_key, salt, sha256)


@lru_cache(maxsize=32)
def _serializer(purpose: LinkPurpose, keys: tuple[str, ...]) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(keys),
        salt=f"mindsum.link.{purpose}",
        signer=_Signer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


@lru_cache(maxsize=4)
def _mark_serializer(keys: tuple[str, ...]) -> URLSafeSerializer:
    return URLSafeSerializer(
        list(keys),
        salt="mindsum.form",
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _keys() -> tuple[str, ...]:
    # itsdangerous signs with the last key and verifies with all.
    settings = config.current()
    return (*reversed(settings.secret_key_fallbacks), settings.secret_key)


class _Person(Protocol):
    @property
    def link_holder(self) -> str: ...


def holder_of(purpose: LinkPurpose, *, client: _Person, therapist: _Person) -> str:
    """How the recipient of such a link of a booking is named in it."""
    return (client if purpose in TO_CLIENTS else therapist).link_holder


def mint(
    purpose: LinkPurpose,
    *,
    holder: str,
    subject: str,
    epoch: int = 1,
    email: int | None = None,
    is_of_page: bool = False,
) -> str:
    payload: list[str | int] = [holder, subject, epoch]
    if email is not None:
        payload += [email, 1] if is_of_page else [email]
    token = _serializer(purpose, _keys()).dumps(payload)
    return token.decode() if isinstance(token, bytes) else token


def read(purpose: LinkPurpose, token: str) -> LinkToken:
    """Raises LinkInvalid if the token is cut, forged or was minted for another purpose."""
    if len(token) > MAX_LENGTH:
        raise LinkInvalid("The link is too long.")
    try:
        _check_spelling(token)
        payload, minted_at = _serializer(purpose, _keys()).loads(token, return_timestamp=True)
        holder, subject, epoch, *origin = _checked(payload)
    except (BadData, ValueError):
        raise LinkInvalid("The link is incomplete or has another purpose.") from None
    email = origin[0] if origin else None
    return LinkToken(purpose, holder, subject, epoch, minted_at, email, len(origin) > 1)


def _check_spelling(token: str) -> None:
    """Raises ValueError for any spelling of a token but the one that `mint` writes."""
    signature = token.rpartition(".")[2]
    # The bits of the last character that no byte needs could be anything. Payload and time are
    # signed as text, so only the signature itself can be spelt in other ways.
    if not _TOKEN.fullmatch(token) or base64_encode(base64_decode(signature)) != signature.encode():
        raise ValueError("another spelling")


def _checked(payload: Any) -> list[Any]:
    """Holder, subject and epoch; then the email and a mark for a link of a page, if there are."""
    holder, subject, *numbers = payload
    is_known = isinstance(holder, str) and isinstance(subject, str) and 1 <= len(numbers) <= 3
    are_known = all(isinstance(each, int) for each in numbers) and numbers[2:] in ([], [1])
    if not (is_known and are_known):
        raise ValueError("unknown payload")
    return list(payload)


def mark_form(link: LinkToken, *, is_question: bool) -> str:
    """For a hidden field of a form on the page of that link: read back by `read_mark`."""
    milliseconds = int(clock.now().timestamp() * 1000)
    mark = _mark_serializer(_keys()).dumps(
        [link.holder, link.subject, milliseconds, int(is_question)]
    )
    return mark.decode() if isinstance(mark, bytes) else mark


def read_mark(link: LinkToken, mark: str) -> ShownForm | None:
    """None if it is not a mark of ours for that link's holder and subject."""
    if len(mark) > MAX_LENGTH:
        return None
    try:
        holder, subject, milliseconds, is_question = _mark_serializer(_keys()).loads(mark)
    except (BadData, ValueError):
        return None
    if (holder, subject) != (link.holder, link.subject):
        return None
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    return ShownForm(at, bool(is_question))


def url(
    purpose: LinkPurpose, *, holder: str, subject: str, epoch: int = 1, email: int | None = None
) -> str:
    token = mint(purpose, holder=holder, subject=subject, epoch=epoch, email=email)
    return f"{config.current().public_url}/link/{purpose}/{token}"

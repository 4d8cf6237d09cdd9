"""The grammar of API_KEYS, `KEY`, `NAME:read:KEY` or `NAME:write:KEY`, and how a key is found."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

# What `Authorization: Bearer KEY` can carry: an inner = would begin a list of parameters.
_KEY = re.compile(r"[!-<>-~]+=*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_MAY_WRITE = {"read": False, "write": True}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`name` is None for a bare key, which may write; `secret` is what callers send."""

    name: str | None
    may_write: bool
    secret: str


def parse(entry: str) -> ApiKey:
    """Raises ValueError."""
    name, *scoped = entry.split(":", 2)
    if len(scoped) < 2 and not _MAY_WRITE.keys() & scoped:
        named = ApiKey(None, True, entry)
    elif len(scoped) == 2 and _NAME.fullmatch(name) and scoped[0] in _MAY_WRITE:
        named = ApiKey(name, _MAY_WRITE[scoped[0]], scoped[1])
    else:
        # A misspelt scope, or a forgotten key, must not become a bare key that may write.
        raise ValueError("neither a bare key nor NAME:read:KEY or NAME:write:KEY")
    check_secret(named.secret)
    return named


def check_secret(secret: str) -> None:
    """Raises ValueError."""
    if not _KEY.fullmatch(secret):
        raise ValueError("not for a header")


def is_same(token: str, secret: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(_digest(token), _digest(secret))


def check(entries: Sequence[str]) -> None:
    """Raises ValueError, also where one key has two names or scopes."""
    secrets = [parse(entry).secret for entry in entries]
    if len(set(secrets)) < len(secrets):
        raise ValueError("a key that is there twice")


def find(token: str, entries: tuple[str, ...]) -> ApiKey | None:
    # Every key is compared, by its hash and in constant time, so that the duration tells nothing.
    digest = _digest(token)
    matching = [key for known, key in _by_digest(entries) if hmac.compare_digest(known, digest)]
    return matching[0] if matching else None


@lru_cache(maxsize=8)
def _by_digest(entries: tuple[str, ...]) -> list[tuple[bytes, ApiKey]]:
    keys = [parse(entry) for entry in entries]
    return [(_digest(key.secret), key) for key in keys]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()

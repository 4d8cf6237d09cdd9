"""Cookies: their names and attributes, a session's secret, the addresses of this browser."""

from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import Response, request

from app import clock, config
from app.services import validation
from app.store.models.sign_ins import LASTS_AT_MOST, Area
from emails.addresses import email_key

# A session opens one area, so a person who is both therapist and ops has two.
_SESSION = {Area.DASHBOARD: "mindsum-session", Area.OPS: "mindsum-ops-session"}
_ADDRESS = {Area.DASHBOARD: "mindsum-address", Area.OPS: "mindsum-ops-address"}
# Of a visitor who confirmed it and said that the device is their own.
_CONFIRMED = "mindsum-confirmed"
_ADDRESS_KEPT = timedelta(days=365)
CONFIRMED_KEPT = timedelta(days=90)
# The address that this browser last typed into one of our forms.
_ASKED = "mindsum-asked"
_ASKED_KEPT = timedelta(days=1)
# What a form typed in this browser.
_SEALED = "mindsum typed text"
# Longer ones are not ours.
_MAX_LENGTH = 2000


def name(plain: str) -> str:
    # A browser takes a cookie of this name from this very host alone, and over https.
    return f"__Host-{plain}" if config.current().is_production else plain


def read(plain: str) -> str:
    """Empty if the browser sent none that can be ours."""
    value = request.cookies.get(name(plain), "")
    return value if len(value) <= _MAX_LENGTH and value.isascii() else ""


def put(response: Response, plain: str, value: str, lasts: timedelta | None) -> None:
    is_https = config.current().is_production
    response.set_cookie(
        name(plain), value, max_age=lasts, httponly=True, secure=is_https, samesite="Lax"
    )


def drop(response: Response, plain: str) -> None:
    is_https = config.current().is_production
    response.delete_cookie(name(plain), httponly=True, secure=is_https, samesite="Lax")


def session_secret(area: Area) -> str:
    """Empty if the browser sent none."""
    return read(_SESSION[area])


def set_session(response: Response, secret: str, area: Area, *, is_kept: bool) -> None:
    """Without `is_kept` it ends with the browser; the server ends it in any case."""
    put(response, _SESSION[area], secret, LASTS_AT_MOST if is_kept else None)


def drop_session(response: Response, area: Area) -> None:
    drop(response, _SESSION[area])


def remembered_address(area: Area) -> str:
    """The address last used to sign in there with this browser, or an empty text."""
    try:
        kept = _cipher(_keys()).decrypt(read(_ADDRESS[area]).encode()).decode()
        return validation.email(kept)
    except (InvalidToken, ValueError):
        return ""


def remember_address(response: Response, address: str, area: Area) -> None:
    # Encrypted: only the sign-in page can show it, and no other site can plant one.
    value = _cipher(_keys()).encrypt(address.encode()).decode("ascii")
    put(response, _ADDRESS[area], value, _ADDRESS_KEPT)


def forget_address(response: Response, area: Area) -> None:
    drop(response, _ADDRESS[area])


def has_confirmed(address: str) -> bool:
    """Whether this browser confirmed that very address not long ago."""
    return _is_known_for(_CONFIRMED, address, CONFIRMED_KEPT)


def remember_confirmed(response: Response, address: str) -> None:
    _set_known_for(response, _CONFIRMED, address, CONFIRMED_KEPT)


def has_asked(address: str) -> bool:
    """Whether this browser typed that very address into one of our forms within a day."""
    return _is_known_for(_ASKED, address, _ASKED_KEPT)


def remember_asked(response: Response, address: str) -> None:
    _set_known_for(response, _ASKED, address, _ASKED_KEPT)


def sealed(text: str) -> str:
    """Encrypted, for a cookie of this browser."""
    return _cipher(_keys(), _SEALED).encrypt(text.encode()).decode("ascii")


def opened(value: str) -> str:
    """What was sealed, or an empty text."""
    try:
        return _cipher(_keys(), _SEALED).decrypt(value.encode()).decode()
    except InvalidToken:
        return ""


def _is_known_for(plain: str, address: str, lasts: timedelta) -> bool:
    at, value = int(clock.now().timestamp()), read(plain).encode()
    try:
        kept = _cipher(_keys(), plain).decrypt_at_time(value, int(lasts.total_seconds()), at)
    except InvalidToken:
        return False
    return kept.decode() == email_key(address)


def _set_known_for(response: Response, plain: str, address: str, lasts: timedelta) -> None:
    at = int(clock.now().timestamp())
    value = _cipher(_keys(), plain).encrypt_at_time(email_key(address).encode(), at)
    put(response, plain, value.decode("ascii"), lasts)


def _keys() -> tuple[str, ...]:
    settings = config.current()
    return (settings.secret_key, *settings.secret_key_fallbacks)


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...], purpose: str = "mindsum remembered address") -> MultiFernet:
    # A key of its own for each purpose, from each secret.
    derived = (sha256(f"{purpose} {key}".encode()).digest() for key in keys)
    return MultiFernet([Fernet(urlsafe_b64encode(each)) for each in derived])

"""Checking what people and programs send: a check returns the clean value or says what is right."""

import re
import unicodedata
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email

from app.store import queries
from emails.formatting import minor_digits
from emails.safety import UnsafeValue, check_url, mailbox

NAME_LENGTH = 120
TEXT_LENGTH = 4000
_AMOUNT = re.compile(r"([0-9]{1,7})(?:\.([0-9]+))?")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_ZONES = frozenset(available_timezones())


def name(value: str) -> str:
    """A person's name in one line, with runs of spaces folded. Raises ValueError."""
    clean = " ".join(unicodedata.normalize("NFC", value).split())
    if not clean:
        raise ValueError("Please give a name.")
    if len(clean) > NAME_LENGTH:
        raise ValueError(f"Please keep the name to {NAME_LENGTH} characters or fewer.")
    if _has_control(value.strip()) or _BIDI & set(clean) or "\n" in value.strip():
        raise ValueError("Please leave control characters and line breaks out of the name.")
    return clean


def email(value: str) -> str:
    """An email address, as its owner writes it. Raises ValueError."""
    try:
        checked = validate_email(
            value.strip(),
            check_deliverability=False,
            allow_quoted_local=True,
            test_environment=True,
        )
    except EmailNotValidError:
        raise ValueError("Please give an email address such as name@example.org.") from None
    try:
        mailbox("email", checked.normalized)
    except UnsafeValue:
        raise ValueError("Please give an email address that mail can be sent to.") from None
    if max(len(checked.normalized), len(queries.email_key(checked.normalized))) > 254:
        raise ValueError("Please give an email address of 254 characters or fewer.")
    return checked.normalized


def timezone(value: str) -> str:
    """An IANA time zone that this machine knows. Raises ValueError."""
    clean = value.strip()
    if clean not in _ZONES:
        raise ValueError("Please give a time zone such as Europe/London.")
    ZoneInfo(clean)
    return clean


def instant(value: str) -> datetime:
    """An ISO 8601 instant with its offset from UTC, as aware UTC. Raises ValueError."""
    try:
        at = datetime.fromisoformat(value.strip())
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Please give an instant such as 2026-11-03T10:00:00Z.") from None


def amount(value: str, currency: str) -> int:
    """Minor units of an amount such as "60.00". Raises ValueError."""
    digits = minor_digits(currency)
    match = _AMOUNT.fullmatch(value.strip())
    if match is None or len(match[2] or "") > digits:
        raise ValueError(
            f"an amount in {currency} is digits with at most {digits} decimals"
            f" and below 10 million, for example {60:.{digits}f}"
        )
    return int(match[1] + (match[2] or "").ljust(digits, "0"))


def text(value: str) -> str:
    """What somebody wrote, possibly empty, with plain line ends. Raises ValueError."""
    clean = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(clean) > TEXT_LENGTH:
        raise ValueError(f"Please keep it to {TEXT_LENGTH} characters or fewer.")
    if _has_control(clean.replace("\n", "").replace("\t", "")):
        raise ValueError("Please leave control characters out of the text.")
    return clean


def line(value: str, longest: int) -> str:
    """One line that everybody may read, possibly empty, with runs of spaces folded.

    Raises ValueError.
    """
    clean = " ".join(unicodedata.normalize("NFC", value).split())
    if len(clean) > longest:
        raise ValueError(f"Please keep it to {longest} characters or fewer.")
    if _has_control(clean) or _BIDI & set(clean):
        raise ValueError("Please leave control characters out of it.")
    return clean


def slug(value: str) -> str:
    """A short name for addresses. Raises ValueError."""
    if len(value) > 64 or not _SLUG.fullmatch(value):
        raise ValueError("should be lower-case letters, digits and single hyphens, 64 at most")
    return value


def web_address(value: str) -> str:
    """An http(s) address that an email may carry. Raises ValueError."""
    try:
        return check_url("address", value.strip())
    except UnsafeValue:
        message = "Please give a web address such as https://meet.example.org/asha."
        raise ValueError(message) from None


def _has_control(value: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in value)

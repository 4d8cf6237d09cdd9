"""Checks of the values that emails carry; each `check_…` returns it or raises UnsafeValue."""

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from emails import zones

# ASCII without spaces, double quotes, < and >: safe in HTML, iCalendar and plain text.
_URL = re.compile(r"https?://[A-Za-z0-9\[][!#-;=?-\[\]_a-z~]*")
_REFERENCE = re.compile(r"MB-[0-9A-Z]{6}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# "evil.example": mail programs turn it into a link even inside a name.
_HOSTLIKE_DOT = re.compile(r"(?<=\w)\.(?=\w{2})")
# Zero-width joiners hold emoji and some scripts together.
_JOINERS = "\u200c\u200d"
_MAX_URL_LENGTH = 2000
_MAX_NAME_LENGTH = 60
_MAX_LINE_LENGTH = 200
_MAX_SLUG_LENGTH = 64


class UnsafeValue(ValueError):
    """A value that no email may carry. The message names the field and never shows the value."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field} must be {expected}")
        self.field = field
        self.expected = expected


def clean_name(value: str, fallback: str) -> str:
    """A person's name as one line of at most 60 characters; `fallback` if nothing is left.

    Removes control characters, bidi overrides and line ends, and breaks up what mail programs
    would turn into a link (`evil.example/x`) or decode in a subject (`=?utf-8?q?…`).
    """
    return _clean_name(value[: 4 * _MAX_NAME_LENGTH], fallback)


# One email asks this of a few names several times, and so do the others of its booking.
@lru_cache(maxsize=256)
def _clean_name(value: str, fallback: str) -> str:
    head = unicodedata.normalize("NFC", value)
    kept = "".join(
        " " if char.isspace() or char in "/\\@<>" else char
        for char in head
        if char in _JOINERS or char.isspace() or not unicodedata.category(char).startswith("C")
    )
    line = _HOSTLIKE_DOT.sub(". ", " ".join(kept.replace("=?", "= ?").split()))
    if len(line) > _MAX_NAME_LENGTH:
        line = line[: _MAX_NAME_LENGTH - 1].rstrip() + "…"
    return line.strip(_JOINERS + " ") or fallback


def check_url(field: str, value: str) -> str:
    if len(value) > _MAX_URL_LENGTH or not _URL.fullmatch(value):
        raise UnsafeValue(field, "an http(s) address without spaces, quotes or other scripts")
    return value


# The same in every email.
@lru_cache(maxsize=4)
def check_line(field: str, value: str) -> str:
    """One line that fits into a footer."""
    is_printable = not any(unicodedata.category(char)[0] in "CZ" for char in value.replace(" ", ""))
    if not 10 <= len(value) <= _MAX_LINE_LENGTH or not is_printable:
        raise UnsafeValue(field, f"one line of 10 to {_MAX_LINE_LENGTH} characters")
    return value


def check_instant(field: str, value: datetime) -> datetime:
    """An aware datetime, converted to UTC."""
    if value.utcoffset() is None:
        raise UnsafeValue(field, "an aware UTC datetime")
    return value.astimezone(UTC)


def check_zone(field: str, value: str) -> str:
    if value not in zones.NAMES:
        raise UnsafeValue(field, "an IANA time zone such as Europe/London")
    return value


def check_currency(field: str, value: str) -> str:
    if not _CURRENCY.fullmatch(value):
        raise UnsafeValue(field, "an ISO 4217 currency such as GBP")
    return value


def check_reference(field: str, value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        raise UnsafeValue(field, "a reference such as MB-7K3QXD")
    return value


def check_slug(field: str, value: str) -> str:
    if len(value) > _MAX_SLUG_LENGTH or not _SLUG.fullmatch(value):
        raise UnsafeValue(field, "a slug such as asha-rao")
    return value

"""What a value must be before it may enter an email: refused by name, or made harmless."""

import re
import unicodedata
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import parseaddr
from zoneinfo import ZoneInfo

_URL = re.compile(r"https?://[A-Za-z0-9\[][!#-;=?-\[\]_a-z~]*")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))*")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_SLUG = re.compile(r"[a-z0-9_-]{1,64}")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.+_-]+@[A-Za-z0-9.-]+>")
_HOSTLIKE_DOT = re.compile(r"(?<=\w)\.(?=\w{2})")
_JOINERS = "\u200c\u200d"
_LONGEST_URL = 2000
_LONGEST_NAME = 60


class UnsafeValue(ValueError):
    """A value that no email may carry; `field` names it, the value itself is never repeated."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field} must be {expected}")
        self.field = field
        self.expected = expected


def clean_name(value: str, fallback: str) -> str:
    """A person's name as one harmless line of at most 60 characters; `fallback` if none is left.

    Control characters, bidi overrides and line ends go, and what mail programs would turn into
    a link (`evil.example/x`) is broken up.
    """
    head = unicodedata.normalize("NFC", value[: 4 * _LONGEST_NAME])
    kept = "".join(
        " " if char.isspace() or char in "/\\@<>" else char
        for char in head
        if char in _JOINERS or char.isspace() or not unicodedata.category(char).startswith("C")
    )
    line = _HOSTLIKE_DOT.sub(". ", " ".join(kept.split()))
    if len(line) > _LONGEST_NAME:
        line = line[: _LONGEST_NAME - 1].rstrip() + "…"
    return line.strip(_JOINERS + " ") or fallback


def check_url(field: str, value: str) -> str:
    """`value` if it is an http(s) address of plain ASCII, at most 2000 characters long."""
    if len(value) > _LONGEST_URL or not _URL.fullmatch(value):
        raise UnsafeValue(field, "an http(s) address without spaces, quotes or other scripts")
    return value


def check_instant(field: str, value: datetime) -> datetime:
    """`value` if it is aware, in UTC."""
    if value.utcoffset() is None:
        raise UnsafeValue(field, "an aware UTC datetime")
    return value.astimezone(UTC)


def check_zone(field: str, value: str) -> str:
    """`value` if it names an IANA time zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise UnsafeValue(field, "an IANA time zone such as Europe/London") from error
    return value


def check_currency(field: str, value: str) -> str:
    """`value` if it is shaped like an ISO 4217 code."""
    if not _CURRENCY.fullmatch(value):
        raise UnsafeValue(field, "an ISO 4217 currency such as GBP")
    return value


def check_reference(field: str, value: str) -> str:
    """`value` if it is shaped like a booking's reference."""
    if not _REFERENCE.fullmatch(value):
        raise UnsafeValue(field, "a reference such as MB-7K3QXD")
    return value


def check_slug(field: str, value: str) -> str:
    """`value` if it is a therapist's slug."""
    if not _SLUG.fullmatch(value):
        raise UnsafeValue(field, "a slug such as asha-rao")
    return value


def check_message_id(field: str, value: str) -> str:
    """`value` if it is a Message-ID in angle brackets that no header will fold."""
    if len(value) > 64 or not _MESSAGE_ID.fullmatch(value):
        raise UnsafeValue(field, "a Message-ID of at most 64 characters")
    return value


def ascii_domain(field: str, value: str) -> str:
    """The domain as DNS reads it: lower case, international labels punycoded."""
    if not _is_printable(value[:512]):
        raise UnsafeValue(field, "a domain name")
    labels = unicodedata.normalize("NFKC", value[:512]).lower().replace("。", ".").split(".")
    try:
        # Not the "idna" codec: its 2003 rules turn ß into ss, which is somebody else's domain.
        encoded = ".".join(
            label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
            for label in labels
        )
    except UnicodeError as error:
        raise UnsafeValue(field, "a domain name") from error
    if len(encoded) > 253 or not _DOMAIN.fullmatch(encoded):
        raise UnsafeValue(field, "a domain name")
    return encoded


def mailbox(field: str, value: str) -> Address:
    """The bare address in `value`, its domain punycoded, its local part kept as it is."""
    local, at, domain = value.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not at or not local or len(local) > 64 or not _is_printable(local):
        raise UnsafeValue(field, "one email address")
    return Address(username=local, domain=ascii_domain(field, domain))


def sender_mailbox(field: str, value: str) -> Address:
    """The sender's address with its display name (`Mindsum <bookings@mindsum.example>`)."""
    if not _is_printable(value):
        raise UnsafeValue(field, "an address, with or without a name before it")
    name, address = parseaddr(value) if "<" in value else ("", value)
    bare = mailbox(field, address)
    return Address(clean_name(name, "Mindsum"), bare.username, bare.domain)


def _is_printable(value: str) -> bool:
    return not any(unicodedata.category(char).startswith("C") for char in value)

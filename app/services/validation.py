"""The grammar of every value: each function returns the clean value or raises ValueError."""

import re
import unicodedata
from datetime import UTC, date, datetime

from app.rules.names import is_visible
from app.rules.search_key import search_key
from app.services import zone_search
from app.services.zone_search import AmbiguousPlace
from app.store import queries
from emails.addresses import MAX_LENGTH, looks_like_another_letter, mailbox, typed_address
from emails.formatting import minor_digits
from emails.safety import UnsafeValue, check_reference, check_slug, check_url, check_zone

NAME_LENGTH = 120
# What an email can show.
GIVEN_NAME_LENGTH = 60
TEXT_LENGTH = 4000
WEB_ADDRESS_LENGTH = 500
HEADLINE_LENGTH, SPECIALISMS_LENGTH = 200, 500
QUALIFICATIONS_LENGTH, LANGUAGES_LENGTH = 300, 200
# Without 0/O, 1/I/L and U: a reference is read aloud and typed from a screen.
REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_YEARS = range(2000, 3000)
# RFC 3339.
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:[0-5]\d)", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,7})(?:\.([0-9]+))?")
_WEB_ADDRESS = re.compile(r"://|\bwww\.", re.IGNORECASE)
_PHONE = re.compile(r"\+?[0-9]{5,20}")
# They hold emoji and words of some scripts together; other format characters hide something or
# reorder the text around them, so that one name could look like another.
_JOINERS = frozenset("\u200c\u200d")


def name(value: str) -> str:
    """A person's name on one line, runs of spaces folded, in NFC."""
    return _name(value, NAME_LENGTH)


def given_name(value: str) -> str | None:
    """What a person wants to be called, as `name`; None if they left it empty."""
    typed = value.strip(" \t,;")
    return _name(typed, GIVEN_NAME_LENGTH) if typed else None


def _name(value: str, longest: int) -> str:
    clean = " ".join(unicodedata.normalize("NFC", value).split())
    if not clean:
        raise ValueError("Please give a name.")
    if len(clean) > longest:
        raise ValueError(f"Please keep the name to {longest} characters or fewer.")
    if _has_control(value.strip()) or _has_format(clean):
        raise ValueError(
            "Please leave control characters, line breaks and invisible characters out of the name."
        )
    if not is_visible(clean):
        raise ValueError("Please give a name that can be seen.")
    if all(unicodedata.category(each)[0] in "PMZ" for each in clean):
        raise ValueError("Please give a name, not only punctuation.")
    # Emails begin with it, and mail programs turn it into a link.
    if _WEB_ADDRESS.search(clean):
        raise ValueError("Please give a name, not a web address.")
    return clean


def email(value: str) -> str:
    """An email address with its letter case kept: a mail server may read it."""
    if any(looks_like_another_letter(each) for each in value.rpartition("@")[0]):
        raise ValueError(
            "Please type the email address again: it has a sign that only looks like a letter."
        )
    try:
        typed = typed_address("email", value)
    except UnsafeValue:
        raise ValueError("Please give an email address such as name@example.org.") from None
    # The domain as its A-label can make an address longer.
    if max(len(typed), len(queries.email_key(typed))) > MAX_LENGTH:
        raise ValueError(f"Please give an email address of {MAX_LENGTH} characters or fewer.")
    try:
        mailbox("email", typed)
    except UnsafeValue:
        raise ValueError("Please give an email address that mail can be sent to.") from None
    return typed


def meeting_url(value: str) -> str | None:
    """A web address, or None for an empty text."""
    return web_address(value) if value.strip() else None


def timezone(value: str) -> str:
    try:
        return check_zone("timezone", value.strip())
    except UnsafeValue:
        raise ValueError("Please give a time zone such as Europe/London.") from None


def place(value: str) -> str:
    """The time zone of a city, a country, an abbreviation or an IANA name, as people type them.

    Raises AmbiguousPlace where the words fit several zones; it names them.
    """
    try:
        return zone_search.zone_of(value)
    except AmbiguousPlace as error:
        cities = [zone_search.city_of(zone) for zone in error.zones]
        words = f"{', '.join(cities[:-1])} or {cities[-1]}"
        message = f"Several time zones have that name. Please choose one: {words}."
        raise AmbiguousPlace(message, error.zones) from None
    except ValueError:
        raise ValueError(
            "Please give a time zone such as Europe/London. A large city near you will do."
        ) from None


def instant(value: str) -> datetime:
    """An RFC 3339 instant with its offset from UTC, as aware UTC.

    Digits beyond microseconds are cut off.
    """
    clean = value.strip().upper()
    try:
        at = datetime.fromisoformat(clean).astimezone(UTC) if _INSTANT.fullmatch(clean) else None
    except (ValueError, OverflowError):
        at = None
    if at is None or at.year not in _YEARS:
        raise ValueError(
            "Please give an instant such as 2026-11-03T10:00:00Z, with its offset from UTC,"
            " from the year 2000 to the year 2999."
        )
    return at


def instant_text(at: datetime) -> str:
    """An aware instant as `instant` reads it, in UTC and to the second."""
    return f"{at.astimezone(UTC).isoformat()[:19]}Z"


def day(value: str) -> date:
    """A date, YYYY-MM-DD."""
    clean = value.strip()
    try:
        found = date.fromisoformat(clean) if _DAY.fullmatch(clean) else None
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:
        raise ValueError("Please give a date from 2000-01-01 to 2999-12-31, such as 2026-11-03.")
    return found


def reference(value: str) -> str:
    try:
        return check_reference("reference", value.strip().upper())
    except UnsafeValue:
        raise ValueError("Please give a reference such as MB-7K3QXD.") from None


def amount(value: str, currency: str) -> int:
    """Minor units of an amount such as "60.00"."""
    digits = minor_digits(currency)
    match = _AMOUNT.fullmatch(value.strip())
    if match is None or len(match[2] or "") > digits:
        raise ValueError(
            f"an amount in {currency} is digits with at most {digits} decimals"
            f" and below 10 million, for example {60:.{digits}f}"
        )
    return int(match[1] + (match[2] or "").ljust(digits, "0"))


def rate(value: str, currency: str) -> int:
    """Minor units of the price of a paid session; the ValueError says what would be right."""
    try:
        minor = amount(value, currency)
    except ValueError:
        minor = 0
    if not minor:
        example = f"{60:.{minor_digits(currency)}f}"
        raise ValueError(f"an amount in {currency} above zero, such as {example}")
    return minor


def phone(value: str) -> str:
    """A phone number as digits, after + where it says its country; "+44 (0)20" has no 0 then."""
    clean = " ".join(value.split())
    if clean.startswith("+"):
        clean = clean.replace("(0)", "")
    digits = re.sub("[ ()-]", "", clean)
    if _PHONE.fullmatch(digits) is None:
        raise ValueError(
            "Please give a phone number of 5 to 20 digits, such as +44 20 7946 0018,"
            " with nothing but spaces, +, -, ( and ) between them."
        )
    return digits


def text(value: str) -> str:
    """Text of several lines, possibly empty; line ends become LF."""
    clean = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(clean) > TEXT_LENGTH:
        raise ValueError(f"Please keep it to {TEXT_LENGTH} characters or fewer.")
    if _has_control(clean.replace("\n", "").replace("\t", "")):
        raise ValueError("Please leave control characters out of the text.")
    return clean


def required_text(value: str) -> str:
    clean = text(value)
    if not is_visible(clean):
        raise ValueError("Please write something first.")
    return clean


def line(value: str, longest: int) -> str:
    """One line for a public page, possibly empty, with runs of spaces folded."""
    clean = " ".join(unicodedata.normalize("NFC", value).split())
    if len(clean) > longest:
        raise ValueError(f"Please keep it to {longest} characters or fewer.")
    if _has_control(clean) or _has_format(clean):
        raise ValueError("Please leave control characters and invisible characters out of it.")
    return clean


def headline(value: str) -> str:
    return line(value, HEADLINE_LENGTH)


def qualifications(value: str) -> str:
    return line(value, QUALIFICATIONS_LENGTH)


def specialisms(value: str) -> str:
    return _list(value, SPECIALISMS_LENGTH)


def languages(value: str) -> str:
    return _list(value, LANGUAGES_LENGTH)


def _list(value: str, longest: int) -> str:
    """Words with commas between them, each once however it is written."""
    by_key: dict[str, str] = {}
    for part in line(value, longest).split(","):
        if part.strip():
            by_key.setdefault(search_key(part), part.strip())
    return ", ".join(by_key.values())


def slug(value: str) -> str:
    try:
        return check_slug("slug", value)
    except UnsafeValue:
        message = "should be lower-case letters, digits and single hyphens, 64 at most"
        raise ValueError(message) from None


def web_address(value: str) -> str:
    if len(value.strip()) > WEB_ADDRESS_LENGTH:
        raise ValueError(f"Please give an address of {WEB_ADDRESS_LENGTH} characters or fewer.")
    try:
        return check_url("address", value.strip())
    except UnsafeValue:
        message = "Please give a web address such as https://meet.example.org/asha."
        raise ValueError(message) from None


def _has_control(value: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in value)


def _has_format(value: str) -> bool:
    return any(unicodedata.category(each) == "Cf" for each in value if each not in _JOINERS)

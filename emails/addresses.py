"""Mailboxes and domains that are safe in a header."""

import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.headerregistry import Address
from functools import lru_cache
from itertools import groupby

import idna

from emails.safety import UnsafeValue, clean_name

# RFC 5321 allows 256 octets with the angle brackets.
MAX_LENGTH = 254
# RFC 5322: these, like spaces, may stand in a local part only in quotes.
_SPECIALS = frozenset('()<>[]:;@\\,"')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))*")


def ascii_domain(field: str, value: str) -> str:
    """The domain in lower case with its international labels in punycode. Raises UnsafeValue."""
    if not _is_printable(value[:512]):
        raise UnsafeValue(field, "a domain name")
    try:
        # IDNA 2008: the rules of 2003 turn ß into ss, which is another domain.
        labels = idna.uts46_remap(value[:512], std3_rules=False).split(".")
        encoded = ".".join(
            label if label.isascii() else idna.alabel(label).decode() for label in labels
        )
        are_read = all(map(_is_readable, encoded.split(".")))
    except idna.IDNAError as error:
        raise UnsafeValue(field, "a domain name") from error
    if len(encoded) > 253 or not are_read or not _DOMAIN.fullmatch(encoded):
        raise UnsafeValue(field, "a domain name")
    return encoded


def _is_readable(label: str) -> bool:
    """False for `xn--` with anything behind it that no other script is written as."""
    if not label.startswith("xn--"):
        return True
    try:
        text = label[4:].encode().decode("punycode")
    except UnicodeError:
        return False
    # As browsers check it: IDNA 2008 alone would refuse the emoji domains that there are.
    is_plain = idna.uts46_remap(text, std3_rules=False) == text
    return not text.isascii() and is_plain and text.encode("punycode").decode() == label[4:]


def typed_address(field: str, value: str) -> str:
    """An address as forms take it, with its letter case kept: a mail server may read it.

    Raises UnsafeValue.
    """
    # It takes long to import, and a process that reads no form does not need it.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        checked = validate_email(
            value.strip(),
            check_deliverability=False,
            allow_quoted_local=True,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise UnsafeValue(field, "an email address such as name@example.org") from error
    return checked.normalized


def email_key(address: str) -> str:
    """The identity of an address: one mailbox has one key, and different letters stay different.

    The domain as `ascii_domain` writes it; the local part composed (NFC) and in lower case, where
    lower case is one letter whose capital is the one that was there: ß is not ss, ı is not i.
    """
    local, at, domain = address.strip().rpartition("@")
    try:
        domain = ascii_domain("email", domain)
    except UnsafeValue:
        domain = domain.lower()
    return "".join(map(_small, _composed(local))) + at + domain


def looks_like_another_letter(character: str) -> bool:
    """Such as the Kelvin sign: Unicode's own rewriting would turn it into the letter K."""
    return unicodedata.normalize("NFC", character) != character


def _composed(text: str) -> str:
    # In NFC, but signs that look like another letter stay what they are.
    runs = groupby(text, looks_like_another_letter)
    return "".join(
        "".join(run) if is_sign else unicodedata.normalize("NFC", "".join(run))
        for is_sign, run in runs
    )


def _small(letter: str) -> str:
    small = letter.lower()
    # ẞ has a small letter whose capital is written SS.
    is_its_capital = letter in (small.upper(), small.title(), "ẞ")
    return small if len(small) == 1 and is_its_capital else letter


# One email asks this of a few addresses several times.
@lru_cache(maxsize=64)
def mailbox(field: str, value: str) -> Address:
    """A bare address: the domain in punycode, the local part unchanged. Raises UnsafeValue."""
    local, at, domain = value.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    elif _SPECIALS & set(local) or any(char.isspace() for char in local):
        raise UnsafeValue(field, "one email address")
    if not at or not local or len(local) > 64 or not _is_printable(local):
        raise UnsafeValue(field, "one email address")
    address = Address(username=local, domain=ascii_domain(field, domain))
    if len(address.addr_spec) > MAX_LENGTH:
        raise UnsafeValue(field, f"an email address of at most {MAX_LENGTH} characters")
    return address


def reply_address(field: str, value: str) -> Address:
    """A mailbox whose local part is ASCII. Raises UnsafeValue."""
    # It is in every email, and many servers take no header beyond ASCII.
    address = mailbox(field, value)
    if not address.username.isascii():
        raise UnsafeValue(field, "one email address, ASCII before its @")
    return address


@lru_cache(maxsize=64)
def sender_mailbox(field: str, value: str) -> Address:
    """An address that may have a name: `Mindsum <bookings@mindsum.example>`. Raises UnsafeValue."""
    if not _is_printable(value):
        raise UnsafeValue(field, "an address, with or without a name before it")
    # Read by hand: for parseaddr, words before an unquoted ":" are a group, which it drops.
    typed, has_name, rest = value.rpartition("<")
    if not has_name:
        typed, rest = "", f"{value}>"
    name, quotes = typed.strip(), _QUOTED.fullmatch(typed.strip())
    # Outside of quotes, "," and ";" stand between several addresses.
    if (not quotes and set("@,;") & set(name)) or not rest.endswith(">"):
        raise UnsafeValue(field, "an address, with or without a name before it")
    bare = mailbox(field, rest[:-1])
    shown = re.sub(r"\\(.)", r"\1", quotes[1]) if quotes else _decoded(name.replace('"', ""))
    return Address(clean_name(shown, "Mindsum"), bare.username, bare.domain)


def _decoded(name: str) -> str:
    try:
        # Some programs show a name in the form that it has in a header.
        return str(make_header(decode_header(name)))
    except (HeaderParseError, LookupError, UnicodeError):
        return name


def _is_printable(value: str) -> bool:
    return not any(unicodedata.category(char).startswith("C") for char in value)

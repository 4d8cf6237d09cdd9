"""Mailboxes and domains that are safe in a header."""

import re
import unicodedata
from email.headerregistry import Address
from email.utils import parseaddr

from emails.safety import UnsafeValue, clean_name

# RFC 5321 allows 256 octets with the angle brackets.
MAX_LENGTH = 254
# RFC 5322: these, like spaces, may stand in a local part only in quotes.
_SPECIALS = frozenset('()<>[]:;@\\,"')
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))*")


def ascii_domain(field: str, value: str) -> str:
    """The domain in lower case with its international labels in punycode. Raises UnsafeValue."""
    if not _is_printable(value[:512]):
        raise UnsafeValue(field, "a domain name")
    labels = unicodedata.normalize("NFKC", value[:512]).lower().replace("。", ".").split(".")
    try:
        # Not the "idna" codec: its 2003 rules turn ß into ss, which is another domain.
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


def sender_mailbox(field: str, value: str) -> Address:
    """An address that may have a name: `Mindsum <bookings@mindsum.example>`. Raises UnsafeValue."""
    if not _is_printable(value):
        raise UnsafeValue(field, "an address, with or without a name before it")
    name, address = parseaddr(value) if "<" in value else ("", value)
    # An unquoted "," or "@" in the name makes parseaddr read another address.
    if "<" in value and not value.endswith(f"<{address}>"):
        raise UnsafeValue(field, "an address, with or without a name before it")
    bare = mailbox(field, address)
    typed = value.rpartition("<")[0].strip()
    # parseaddr reads words before an unquoted ":" as a group and drops them.
    if _letters(name) != _letters(typed):
        name = typed.replace('"', "")
    return Address(clean_name(name, "Mindsum"), bare.username, bare.domain)


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _is_printable(value: str) -> bool:
    return not any(unicodedata.category(char).startswith("C") for char in value)

"""The addresses of the mail door: each names one recipient of ours, or one email that we sent."""

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass
from enum import StrEnum

# 100 bits in lower-case base32: mail programs do not keep the case of an address.
TAG_LENGTH = 20
# RFC 5321.
LONGEST_LOCAL_PART = 64


class AddressKind(StrEnum):
    """What an address is for. The value begins the address."""

    # Of a person, as the organizer of their calendar entries.
    PERSON = "book"
    # For replies to one email about a booking.
    REPLY = "re"
    # The envelope sender of one email: bounces come to it.
    BOUNCE = "bounce"
    # For a provider's feedback loop; nothing in it is secret.
    COMPLAINTS = "complaints"
    # For what `mindsum check mail` sends to itself.
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class DoorAddress:
    """An address as written. `subject`: "t7", "c12", or the number of an email."""

    kind: AddressKind
    subject: str
    tag: str


_TAGGED = re.compile(
    rf"(?P<kind>book|re|bounce|check)\+(?P<subject>[tc]?[1-9][0-9]{{0,17}})"
    rf"-(?P<tag>[a-z2-7]{{{TAG_LENGTH}}})",
    re.ASCII,
)
_SUBJECTS = {
    AddressKind.PERSON: re.compile(r"[tc]\d+", re.ASCII),
    AddressKind.REPLY: re.compile(r"\d+", re.ASCII),
    AddressKind.BOUNCE: re.compile(r"\d+", re.ASCII),
    AddressKind.CHECK: re.compile(r"\d+", re.ASCII),
}


def parse(local_part: str) -> DoorAddress | None:
    """None for what is no address of ours, whatever its letter case."""
    local = local_part.lower()
    if not local.isascii() or len(local) > LONGEST_LOCAL_PART:
        return None
    if local == AddressKind.COMPLAINTS:
        return DoorAddress(AddressKind.COMPLAINTS, "", "")
    found = _TAGGED.fullmatch(local)
    if found is None:
        return None
    kind = AddressKind(found["kind"])
    if not _SUBJECTS[kind].fullmatch(found["subject"]):
        return None
    return DoorAddress(kind, found["subject"], found["tag"])


def local_part(kind: AddressKind, subject: str, bound_to: str, key: bytes) -> str:
    """`bound_to`: what must still be true for the address to be good, such as the epochs."""
    return f"{kind}+{subject}-{_tag(kind, subject, bound_to, key)}"


def is_good(address: DoorAddress, bound_to: str, key: bytes) -> bool:
    if address.kind is AddressKind.COMPLAINTS:
        return True
    expected = _tag(address.kind, address.subject, bound_to, key)
    return hmac.compare_digest(address.tag, expected)


def _tag(kind: AddressKind, subject: str, bound_to: str, key: bytes) -> str:
    text = "\0".join(("mindsum mail address", kind, subject, bound_to))
    digest = hmac.digest(key, text.encode(), "sha256")
    return b32encode(digest)[:TAG_LENGTH].decode().lower()

"""The recipients of a message without an envelope, as the delivering server wrote them."""

from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses

from app.mail_reading import mime

_HEAD_BYTES = 256 * 1024
# What servers write first counts: the envelope's address, where To may be a list.
_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
_MOST = 20


@dataclass(frozen=True, slots=True)
class Recipients:
    addresses: tuple[str, ...]
    # Return-Path is empty.
    is_from_server: bool


def recipients(raw: bytes, domain: str) -> Recipients:
    """Addresses of `domain`, from the first field that has one."""
    message = BytesHeaderParser(policy=compat32).parsebytes(raw[:_HEAD_BYTES])
    path = mime.field(message, "Return-Path")
    for name in _FIELDS:
        found = [
            address
            for _, address in getaddresses(mime.fields(message, name))
            if address.lower().rstrip(".").endswith(f"@{domain}")
        ]
        if found:
            return Recipients(tuple(dict.fromkeys(found))[:_MOST], path.strip() == "<>")
    return Recipients((), path.strip() == "<>")

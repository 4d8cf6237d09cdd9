"""Parts and header fields of a message, without an error for whatever they hold."""

from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.utils import parseaddr

from emails.addresses import email_key

MOST_PARTS = 100
MOST_DEPTH = 20
# Never read: what was forwarded is not the sender's own answer.
_CLOSED = ("message/rfc822", "message/global", "text/rfc822-headers")


def leaves(message: Message) -> list[Message]:
    """The parts that hold something themselves, in order."""
    found: list[Message] = []
    for part in _walk(message, 0):
        found.append(part)
        if len(found) >= MOST_PARTS:
            break
    return found


def _walk(part: Message, depth: int) -> Iterator[Message]:
    payload = part.get_payload()
    is_many = part.get_content_maintype() == "multipart" and isinstance(payload, list)
    if part.get_content_type() in _CLOSED or not is_many:
        yield part
    elif depth < MOST_DEPTH:
        for inner in payload:
            if isinstance(inner, Message):
                yield from _walk(inner, depth + 1)


def field(message: Message, name: str) -> str:
    """The first field of that name, decoded, on one line; empty if there is none."""
    values = fields(message, name)
    return values[0] if values else ""


def fields(message: Message, name: str) -> list[str]:
    try:
        return [_decoded(str(value)) for value in message.get_all(name, [])]
    except (ValueError, LookupError):
        return []


def _decoded(value: str) -> str:
    text = " ".join(value.split())
    if "=?" not in text:
        return text
    try:
        return "".join(
            part if isinstance(part, str) else _with_charset(part, charset or "ascii")
            for part, charset in decode_header(text)
        )
    # A header may claim any encoding.
    except Exception:
        return text


def address_key(value: str) -> str:
    """`email_key` of the address in a field such as From; empty if there is none."""
    try:
        address = parseaddr(value)[1]
    except (ValueError, IndexError):
        return ""
    return email_key(address) if "@" in address else ""


def display_name(value: str) -> str:
    """The name in a field such as From; empty if there is none."""
    try:
        return parseaddr(value)[0]
    except (ValueError, IndexError):
        return ""


def parameter(part: Message, name: str, header: str = "content-type") -> str:
    try:
        value = part.get_param(name, "", header)
    # RFC 2231 has many ways to be broken.
    except Exception:
        return ""
    return str(value[2] if isinstance(value, tuple) else value)


def filename(part: Message) -> str:
    return parameter(part, "filename", "content-disposition") or parameter(part, "name")


def is_attachment(part: Message) -> bool:
    return str(part.get("content-disposition", "")).strip().lower().startswith("attachment")


def text_of(part: Message) -> str:
    """The content of a leaf as text, in whatever charset it really is."""
    try:
        payload = part.get_payload(decode=True)
    # Encodings and charsets are whatever the sender wrote.
    except Exception:
        payload = None
    if not isinstance(payload, bytes):
        return ""
    return _with_charset(payload, parameter(part, "charset") or "utf-8")


def _with_charset(payload: bytes, charset: str) -> str:
    for name in (charset, "utf-8"):
        try:
            return payload.decode(name).replace("\x00", "")
        except (LookupError, ValueError):
            continue
    return payload.decode("cp1252", "replace").replace("\x00", "")

"""From the bytes of a message to its facts. Whatever the bytes are, nothing is raised."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import Message

from app.mail_reading import authentication, calendar, mime, reports, words
from app.mail_reading.facts import UNREADABLE, InboundFacts

# So much of a message is read; the rest are attachments or the email that is quoted.
LONGEST = 512 * 1024
# More make a parser slow, and no mail program writes them.
_MOST_BOUNDARIES = 64
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,250}>")
_OWN = ("X-Mindsum-Email", "X-Mindsum-Booking")
_BULK = frozenset({"bulk", "junk", "auto_reply", "auto-reply", "list"})
_AUTOMATIC_SUBJECT = re.compile(
    r"(?:automatic reply|auto(?:matic)?.?reply|automatische antwort|réponse automatique"
    r"|respuesta automática|risposta automatica|resposta automática|automatisch antwoord"
    r"|out of (?:the )?office|abwesenheit\w*|away until|i am away|on (?:holiday|vacation|leave))\b",
    re.IGNORECASE,
)
# No content of its own.
_BESIDE = ("multipart", "message/", "application/pkcs7-", "application/x-pkcs7-",
           "application/pgp-")  # fmt: skip


def read(raw: bytes, authserv: str | None = None, *, may_be_report: bool = True) -> InboundFacts:
    """`authserv` as in INBOUND_AUTHSERV. `may_be_report`: whether it came where bounces come."""
    cut = raw[:LONGEST]
    if cut.lower().count(b"boundary") > _MOST_BOUNDARIES:
        return UNREADABLE
    try:
        message = message_from_bytes(cut, policy=policy.compat32)
        facts = _read(message, authserv)
        return _with_report(facts, message, cut) if may_be_report else facts
    # The parser's own faults, such as too deep a recursion.
    except Exception:
        return UNREADABLE


def _read(message: Message, authserv: str | None) -> InboundFacts:
    parts = mime.leaves(message)
    answer, has_calendar = calendar.read(parts)
    if answer is not None and _is_signed(message):
        # Nothing here checks the signature.
        answer = replace(answer, is_plain=False)
    sender = mime.field(message, "From")
    text, word = words.read(parts, mime.display_name(sender))
    sender_key = mime.address_key(sender)
    trusted = mime.fields(message, "Authentication-Results")
    return InboundFacts(
        sender_key=sender_key,
        is_automatic=_is_automatic(message),
        is_ours=any(name in message for name in _OWN),
        calendar=answer,
        has_calendar=has_calendar,
        text=text,
        answer=word,
        has_attachments=any(map(_is_content_of_its_own, parts)),
        replies_to=_replies_to(message),
        is_authentic=bool(authserv)
        and authentication.is_authentic(trusted, str(authserv), sender_key),
    )


def _with_report(facts: InboundFacts, message: Message, raw: bytes) -> InboundFacts:
    if reports.is_copy(message):
        return facts
    is_complaint = reports.is_complaint(message)
    return replace(
        facts,
        reports=reports.read(message, raw),
        is_complaint=is_complaint,
        complained=reports.complained_addresses(raw) if is_complaint else (),
    )


def _is_signed(message: Message) -> bool:
    return any(part.get_content_type() == "multipart/signed" for part in message.walk())


def _is_automatic(message: Message) -> bool:
    submitted = mime.field(message, "Auto-Submitted").split(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return True
    if mime.field(message, "Precedence").strip().lower() in _BULK:
        return True
    if any(name in message for name in ("X-Autoreply", "X-Autorespond", "List-Id", "X-Loop")):
        return True
    return bool(_AUTOMATIC_SUBJECT.match(mime.field(message, "Subject").strip()))


def _is_content_of_its_own(part: Message) -> bool:
    kind, name = part.get_content_type(), mime.filename(part).lower()
    if kind.startswith(_BESIDE) or kind in ("text/calendar", "application/ics"):
        return False
    if name.endswith((".ics", ".p7s", ".asc")):
        return False
    if mime.is_attachment(part):
        return True
    return kind.split("/")[0] not in ("text", "image")


def _replies_to(message: Message) -> tuple[str, ...]:
    direct = _MESSAGE_ID.findall(mime.field(message, "In-Reply-To"))
    thread = _MESSAGE_ID.findall(mime.field(message, "References"))
    return tuple(dict.fromkeys([*direct[:5], *reversed(thread[-30:])]))


def message_id(raw: bytes) -> str:
    """As in the header; empty if there is none."""
    head = raw[: 64 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    found = re.search(rb"(?im)^message-id:\s*(<[^>\n]{1,500}>)", head)
    return found[1].decode("ascii", "replace") if found else ""

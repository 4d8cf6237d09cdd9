"""Reports of mail servers: what did not arrive, and who complained of spam."""

import re
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from email.policy import compat32

from app.mail_reading import mime
from app.mail_reading.facts import DeliveryReport

_LONGEST_TEXT = 500
_MOST_WORDS = 32 * 1024
_MOST_RECIPIENTS = 50
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# A line of a report in words: "550 5.1.1 no such user", also within "<a@b>: 550 …".
_REFUSAL = re.compile(r"\b5\d\d[ :-].{0,300}")
# qmail writes no more than "Sorry, no mailbox here by that name. (#5.1.1)".
_OF_QMAIL = re.compile(r"^.{0,300}\(#5\.\d{1,3}\.\d{1,3}\)", re.MULTILINE)
_FOR_POSTMASTER = "postmaster-notification"
_FINAL, _ENDED_WELL = "failed", frozenset({"delivered", "relayed", "expanded"})
_COMPLAINTS = frozenset({"abuse", "opt-out", "opt-out-list", "fraud"})
_BOUNCE_ADDRESS = re.compile(rb"bounce\+\d{1,18}-[a-z2-7]{20}@[a-z0-9._-]{1,253}", re.IGNORECASE)


def read(message: Message, raw: bytes) -> tuple[DeliveryReport, ...]:
    """One report a recipient; none where nothing says that an email failed or waits."""
    for part in message.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            return tuple(_of_blocks(part))
    # It tries dozens of patterns on each line.
    return _of_words(message_from_bytes(raw[:_MOST_WORDS], policy=compat32))


def is_copy(message: Message) -> bool:
    """Whether it is a report for a postmaster, or one that has been round in a loop."""
    submitted = mime.field(message, "Auto-Submitted").lower()
    return _FOR_POSTMASTER in submitted or "X-Loop" in message


def _of_blocks(part: Message) -> Iterable[DeliveryReport]:
    for block in _blocks(part)[:_MOST_RECIPIENTS]:
        action = mime.field(block, "Action").split(";")[0].strip().lower()
        if not action or action in _ENDED_WELL:
            continue
        found = _STATUS.search(mime.field(block, "Status"))
        original = mime.field(block, "Original-Recipient") or mime.field(block, "Final-Recipient")
        yield DeliveryReport(
            recipient_key=mime.address_key(original.partition(";")[2].strip()),
            is_final=action == _FINAL,
            status=found[1] if found else "",
            text=_words_of(mime.field(block, "Diagnostic-Code")),
        )


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    found = payload if isinstance(payload, list) else []
    return [each for each in found if isinstance(each, Message)]


def _words_of(diagnostic: str) -> str:
    # "smtp; 550 5.1.1 …": what stands before the first semicolon says who speaks.
    head, _, rest = diagnostic.partition(";")
    return (rest if " " not in head.strip() else diagnostic).strip()[:_LONGEST_TEXT]


def _of_words(message: Message) -> tuple[DeliveryReport, ...]:
    # Imported when such an email came.
    from flufl.bounce import all_failures  # noqa: PLC0415

    try:
        delayed, failed = all_failures(message)
    # It looks for the words of many old servers, in whatever this is.
    except Exception:
        return ()
    if not (delayed or failed):
        return ()
    said = _first_text(message) if failed else ""
    found = _REFUSAL.search(said) or _OF_QMAIL.search(said)
    text = found[0].strip() if found else ""
    status = _STATUS.search(text)
    return (DeliveryReport("", bool(failed), status[1] if status else "", text),)


def _first_text(message: Message) -> str:
    texts = (part for part in mime.leaves(message) if part.get_content_maintype() == "text")
    first = next(texts, None)
    return mime.text_of(first)[:20_000] if first else ""


def is_complaint(message: Message) -> bool:
    """Whether it is a feedback report (RFC 5965) of abuse or opting out."""
    for part in message.walk():
        if part.get_content_type() == "message/feedback-report":
            inner = next(iter(_blocks(part)), None)
            text = inner.as_string() if inner else str(part.get_payload())
            return _field_in(text, "feedback-type") in _COMPLAINTS
    return False


def _field_in(text: str, name: str) -> str:
    found = re.search(rf"(?im)^{name}:[ \t]*(\S+)", text[:5000])
    return found[1].lower() if found else ""


def complained_addresses(raw: bytes) -> tuple[str, ...]:
    """Our envelope senders that stand in a report, in whatever field."""
    found = {each.decode("ascii").lower() for each in _BOUNCE_ADDRESS.findall(raw)}
    return tuple(sorted(found))[:3]

"""An email as the standard library's own generator writes it."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, SMTPUTF8
from typing import Any

from emails.message import Message

_Part = tuple[list[tuple[str, str]], str]


def reference(message: Message) -> EmailMessage:
    """The same email, made by `email` alone."""
    email = EmailMessage(policy=SMTPUTF8 if message.needs_smtputf8 else SMTP)
    email["Date"] = message.sent_at
    email["From"] = message.sender
    email["To"] = message.recipient
    email["Reply-To"] = message.reply_to
    email["Subject"] = message.subject
    email["Message-ID"] = message.message_id
    for name, value in message.headers.items():
        email[name] = value
    email.set_content(message.text, cte="quoted-printable")
    email.add_alternative(message.html, subtype="html", cte="quoted-printable")
    if message.calendar is not None:
        email.add_alternative(
            message.calendar.content.decode("utf-8"),
            subtype="calendar",
            cte="quoted-printable",
            params={"method": message.calendar.method},
        )
    email.set_boundary("=_" + message.message_id[1:27])
    return email


def parts_of(raw: bytes) -> list[_Part]:
    """Headers (MIME-Version of parts aside) and content of a message and of each of its parts."""
    parsed: Any = BytesParser(policy=policy.default).parsebytes(raw)
    return [_part(each, is_root=each is parsed) for each in parsed.walk()]


def _part(part: Any, *, is_root: bool) -> _Part:
    headers = [(name, str(value)) for name, value in part.items()]
    own = [each for each in headers if is_root or each[0] != "MIME-Version"]
    types = {"Content-Type": (part.get_content_type(), sorted(part["Content-Type"].params.items()))}
    shown = [(name, str(types.get(name, value))) for name, value in own]
    return sorted(shown), "" if part.is_multipart() else part.get_content()

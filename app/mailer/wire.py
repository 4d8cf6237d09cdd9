"""What goes over the wire: one envelope address and one message as bytes."""

import re
from email.message import EmailMessage
from typing import Any

from app.mailer.outcomes import MailBlocked, MailError, MailRefused
from app.mailer.replies import AddressFault
from emails.addresses import mailbox, sender_mailbox
from emails.safety import UnsafeValue

_BARE_LINE_END_OR_NUL = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")


def envelope_address(address: str) -> str:
    """`address` as SMTP commands take it, its domain in ASCII. Raises MailRefused."""
    try:
        return mailbox("recipient", address).addr_spec
    except UnsafeValue:
        raise MailRefused(
            "not an email address",
            stage="message",
            scope="recipient",
            address=AddressFault.MISSED,
        ) from None


def sender_address(setting: str | None) -> str:
    """The address in MAIL_DEFAULT_SENDER, for the envelope. Raises MailBlocked."""
    try:
        return sender_mailbox("sender", setting or "").addr_spec
    except UnsafeValue:
        raise MailBlocked("MAIL_DEFAULT_SENDER is not an address", stage="settings") from None


def lacks_utf8(sender: str) -> MailError:
    """The error of a message that needs SMTPUTF8 where the server does not offer it."""
    if sender.isascii():
        return MailRefused(
            "the mail server takes no addresses beyond ASCII (it lacks SMTPUTF8)",
            stage="recipient",
            scope="recipient",
            address=AddressFault.MISSED,
        )
    return MailBlocked(
        "MAIL_DEFAULT_SENDER is beyond ASCII, and the mail server takes no such address "
        "(it lacks SMTPUTF8)",
        stage="settings",
    )


def is_international(message: EmailMessage, *addresses: str) -> bool:
    fields = ("From", "Sender", "Reply-To", "To", "Cc")
    headers = [header for field in fields for header in message.get_all(field, [])]
    shown = [one.addr_spec for header in headers for one in getattr(header, "addresses", ())]
    return not all(address.isascii() for address in (*addresses, *shown))


def wire_of(message: EmailMessage, utf8: bool) -> bytes:
    """The message's bytes, its lines ended by CR LF. Raises MailRefused where it has others."""
    policy: Any = message.policy
    wire = message.as_bytes(policy=policy.clone(linesep="\r\n", utf8=utf8))
    # A server that takes a bare LF for a line end could read a second message in this one.
    if _BARE_LINE_END_OR_NUL.search(wire):
        reason = "the message has a line that mail may not carry"
        raise MailRefused(reason, stage="message", scope="message")
    return wire if wire.endswith(b"\r\n") else wire + b"\r\n"

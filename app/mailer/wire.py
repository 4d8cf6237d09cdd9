"""What goes over the wire: a message as bytes, and its envelope address."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.mailer.outcomes import MailBlocked, MailError, MailRefused
from app.mailer.replies import AddressFault
from emails.addresses import mailbox, sender_mailbox
from emails.safety import UnsafeValue


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to one recipient, a bare address."""

    recipient: str
    # Its lines end with CR LF.
    content: bytes
    # Whether a header is beyond ASCII.
    needs_utf8: bool = False
    # Called when all but the last line is sent; if it returns False the server takes nothing.
    may_finish: Callable[[], bool] = lambda: True
    # What an error must not repeat of the server's words; called only for one.
    names: Callable[[], Collection[str]] = tuple
    # Where bounces go, if not to MAIL_DEFAULT_SENDER.
    envelope_sender: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The checked addresses of a message, and what its server must offer."""

    sender: str
    recipient: str
    needs_utf8: bool


def envelope_of(message: Outgoing, sender: str) -> Envelope:
    """Raises MailRefused for an address or a line that mail may not carry."""
    recipient, content = envelope_address(message.recipient), message.content
    # A server that takes a bare LF for a line end could read a second message in this one.
    ends = content.count(b"\r\n")
    is_clean = content.count(b"\n") == content.count(b"\r") == ends and b"\0" not in content
    if not is_clean or not content.endswith(b"\r\n"):
        reason = "the message has a line that mail may not carry"
        raise MailRefused(reason, stage="message", scope="message")
    sender = message.envelope_sender or sender
    is_ascii = sender.isascii() and recipient.isascii()
    return Envelope(sender, recipient, message.needs_utf8 or not is_ascii)


def stuffed(content: bytes) -> bytes:
    """With another dot before each line that begins with one."""
    doubled = content.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


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

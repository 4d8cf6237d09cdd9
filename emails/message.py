"""The values that go into an email and the `Message` that comes out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Literal

from emails.safety import (
    ascii_domain,
    check_currency,
    check_instant,
    check_message_id,
    check_reference,
    check_url,
    check_zone,
    clean_name,
    mailbox,
    sender_mailbox,
)

LONGEST_MESSAGE_ID = 64
"""Characters, brackets included: beyond this CPython encodes `References` and breaks the thread."""

Method = Literal["REQUEST", "CANCEL"]


def message_id(reference: str | None, kind: str, recipient: str, ordinal: int, domain: str) -> str:
    """The Message-ID, in brackets, that this email carries on every try; at most 64 characters.

    `ordinal` tells apart two emails of one kind to one recipient (about one booking, if any).
    Of a domain that is too long the rightmost labels are used.
    """
    origin = "\0".join((reference or "", kind, recipient.strip().lower(), str(ordinal)))
    name = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:26]
    host = ascii_domain("domain", domain)
    while len(name) + len(host) + 3 > LONGEST_MESSAGE_ID:
        host = host.partition(".")[2] or "mindsum.invalid"
    return f"<{name}@{host}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """To whom one email goes, from whom, about which booking, in which thread.

    `recipient` is a bare address, `first_name` and `zone` (IANA) are its reader's. `root` is the
    Message-ID of the first email of this booking to this recipient, None if this is that one.
    `domain` is the right side of Message-IDs. Raises UnsafeValue naming the bad field.
    """

    recipient: str
    first_name: str
    zone: str
    reference: str | None
    ordinal: int
    sender: str
    domain: str
    root: str | None
    sent_at: datetime

    def __post_init__(self) -> None:
        mailbox("recipient", self.recipient)
        sender_mailbox("sender", self.sender)
        ascii_domain("domain", self.domain)
        check_zone("zone", self.zone)
        if self.reference is not None:
            check_reference("reference", self.reference)
        if self.root is not None:
            check_message_id("root", self.root)
        object.__setattr__(self, "first_name", clean_name(self.first_name, "there"))
        object.__setattr__(self, "sent_at", check_instant("sent_at", self.sent_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a booking is for; the names are first names only. Raises UnsafeValue."""

    reference: str
    starts_at: datetime
    ends_at: datetime
    kind: Literal["paid", "free_consultation"]
    price_minor: int
    currency: str
    client_name: str
    therapist_name: str
    client_zone: str
    therapist_zone: str

    def __post_init__(self) -> None:
        check_reference("reference", self.reference)
        check_currency("currency", self.currency)
        for field in ("starts_at", "ends_at"):
            object.__setattr__(self, field, check_instant(field, getattr(self, field)))
        for field in ("client_zone", "therapist_zone"):
            check_zone(field, getattr(self, field))
        object.__setattr__(self, "client_name", clean_name(self.client_name, "Your client"))
        object.__setattr__(
            self, "therapist_name", clean_name(self.therapist_name, "Your therapist")
        )

    @property
    def is_free(self) -> bool:
        """Whether nothing is paid for it."""
        return self.price_minor == 0

    @property
    def is_consultation(self) -> bool:
        """Whether it is a free initial consultation."""
        return self.kind == "free_consultation"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLinks:
    """The three signed links with which a therapist answers. Raises UnsafeValue."""

    view: str
    accept: str
    decline: str

    def __post_init__(self) -> None:
        for field in ("view", "accept", "decline"):
            check_url(field, getattr(self, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Another therapist (first name) and a start they have open; `url` asks for it.

    Raises UnsafeValue.
    """

    therapist_name: str
    starts_at: datetime
    url: str
    price_minor: int
    currency: str

    def __post_init__(self) -> None:
        check_url("offer url", self.url)
        check_currency("currency", self.currency)
        object.__setattr__(self, "therapist_name", clean_name(self.therapist_name, "A therapist"))
        object.__setattr__(self, "starts_at", check_instant("starts_at", self.starts_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPart:
    """One iCalendar object and the method it is sent with."""

    content: bytes
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One finished email.

    `recipient` is the address for SMTP's RCPT (domain punycoded). `headers` are the fields beside
    From, To, Subject, Date and Message-ID, by name.
    """

    kind: str
    sender: Address
    recipient: Address
    subject: str
    message_id: str
    sent_at: datetime
    headers: Mapping[str, str]
    text: str
    html: str
    calendar: CalendarPart | None

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it (a local part beyond ASCII)."""
        return not (self.recipient.addr_spec + self.sender.addr_spec).isascii()

    def to_email(self) -> EmailMessage:
        """The message as the standard library's type, ready to send."""
        email = EmailMessage(policy=SMTPUTF8 if self.needs_smtputf8 else SMTP)
        email["Date"] = self.sent_at
        email["From"] = self.sender
        email["To"] = self.recipient
        email["Subject"] = self.subject
        email["Message-ID"] = self.message_id
        for name, value in self.headers.items():
            email[name] = value
        # Quoted-printable throughout: readable raw, and no server has to offer 8BITMIME.
        email.set_content(self.text, cte="quoted-printable")
        email.add_alternative(self.html, subtype="html", cte="quoted-printable")
        if self.calendar is not None:
            email.add_alternative(
                self.calendar.content.decode("utf-8"),
                subtype="calendar",
                cte="quoted-printable",
                params={"method": self.calendar.method},
            )
        # "=_" cannot occur in a quoted-printable body, and the same email gets the same bytes.
        email.set_boundary("=_" + self.message_id[1:27])
        return email

    def to_bytes(self) -> bytes:
        """The message as it goes over the wire, lines ended by CR LF."""
        return self.to_email().as_bytes()

"""The values that go into an email, and the `Message` that comes out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Literal

from emails import mime
from emails.addresses import ascii_domain, mailbox, reply_address, sender_mailbox
from emails.fee_words import FeeWords
from emails.kinds import Payment, Role
from emails.safety import (
    UnsafeValue,
    check_currency,
    check_instant,
    check_line,
    check_reference,
    check_url,
    check_zone,
    clean_name,
)

# Brackets included. CPython encodes a longer `References`, and the thread breaks.
MAX_MESSAGE_ID_LENGTH = 64
_NAME_LENGTH = 26

Method = Literal["REQUEST", "CANCEL"]


def message_id(reference: str | None, kind: str, recipient: str, ordinal: int, domain: str) -> str:
    """The Message-ID that this email carries on every try, in brackets.

    `ordinal` tells apart emails of one kind about one booking to one recipient. A domain that is
    too long loses labels from the left.
    """
    origin = "\0".join((reference or "", kind, recipient.strip().lower(), str(ordinal)))
    name = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_LENGTH]
    return f"<{name}@{_host(domain)}>"


# One for all emails.
@lru_cache(maxsize=4)
def _host(domain: str) -> str:
    host = ascii_domain("domain", domain)
    while _NAME_LENGTH + len(host) + len("<@>") > MAX_MESSAGE_ID_LENGTH:
        host = host.partition(".")[2] or "mindsum.invalid"
    return host


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """`recipient`, `support_email`, `reply_to` are bare addresses; `domain`: of Message-IDs.

    Replies go to `reply_to`, where the mail door hears them, or else to `support_email`.
    Raises UnsafeValue.
    """

    role: Role
    recipient: str
    reader: str
    zone: str
    reference: str | None
    ordinal: int
    sender: str
    support_email: str
    crisis_note: str
    domain: str
    sent_at: datetime
    reply_to: str = ""

    def __post_init__(self) -> None:
        mailbox("recipient", self.recipient)
        if self.reply_to:
            reply_address("reply_to", self.reply_to)
        reply_address("support_email", self.support_email)
        check_line("crisis_note", self.crisis_note)
        sender_mailbox("sender", self.sender)
        _host(self.domain)
        check_zone("zone", self.zone)
        if self.reference is not None:
            check_reference("reference", self.reference)
        object.__setattr__(self, "reader", clean_name(self.reader, "there"))
        object.__setattr__(self, "sent_at", check_instant("sent_at", self.sent_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What an email may say about a booking; people by their given names. Raises UnsafeValue."""

    reference: str
    starts_at: datetime
    ends_at: datetime
    kind: Literal["paid", "free_consultation"]
    price_minor: int
    currency: str
    payment: Payment
    client_name: str
    therapist_name: str
    client_zone: str
    therapist_zone: str

    def __post_init__(self) -> None:
        check_reference("reference", self.reference)
        check_currency("currency", self.currency)
        for name in ("starts_at", "ends_at"):
            object.__setattr__(self, name, check_instant(name, getattr(self, name)))
        for name in ("client_zone", "therapist_zone"):
            check_zone(name, getattr(self, name))
        object.__setattr__(self, "client_name", clean_name(self.client_name, "Your client"))
        object.__setattr__(
            self, "therapist_name", clean_name(self.therapist_name, "Your therapist")
        )

    @property
    def is_free(self) -> bool:
        return self.price_minor == 0

    @property
    def is_consultation(self) -> bool:
        return self.kind == "free_consultation"

    def fee_for(self, reader: Role) -> FeeWords:
        return FeeWords(
            minor=self.price_minor,
            currency=self.currency,
            payment=self.payment,
            is_consultation=self.is_consultation,
            reader=reader,
            client=self.client_name,
            therapist=self.therapist_name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Another therapist and a start they have open; `url` asks for it. Raises UnsafeValue."""

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
class ProposedTime:
    """A start offered in the place of the session's own; `url` takes it. Raises UnsafeValue."""

    starts_at: datetime
    url: str

    def __post_init__(self) -> None:
        check_url("proposed url", self.url)
        object.__setattr__(self, "starts_at", check_instant("starts_at", self.starts_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnconfirmedRequest:
    """A session that somebody typed a request for; `confirm_url` makes it. Raises UnsafeValue."""

    therapist_name: str
    starts_at: datetime
    ends_at: datetime
    kind: Literal["paid", "free_consultation"]
    price_minor: int
    currency: str
    expires_at: datetime
    confirm_url: str

    def __post_init__(self) -> None:
        check_url("confirm_url", self.confirm_url)
        check_currency("currency", self.currency)
        object.__setattr__(
            self, "therapist_name", clean_name(self.therapist_name, "Your therapist")
        )
        for name in ("starts_at", "ends_at", "expires_at"):
            object.__setattr__(self, name, check_instant(name, getattr(self, name)))

    @property
    def is_consultation(self) -> bool:
        return self.kind == "free_consultation"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailContext:
    """`sequence`, `organizer` and `entry_url` are those of the calendar's entry.

    `hears_answers`: whether a Yes or No to the entry reaches us.

    `thread` is the session as the subject names it, the same in the booking's whole thread.
    Raises UnsafeValue if the session is not `envelope`'s.
    """

    envelope: Envelope
    session: Session | None = None
    thread: Session | None = None
    sequence: int = 0
    organizer: str = ""
    hears_answers: bool = False
    entry_url: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.session is not None and self.session.reference != self.envelope.reference:
            raise UnsafeValue("reference", "the session's own")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPart:
    content: bytes
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`recipient` has its domain in punycode; `headers` are the fields beside the usual ones."""

    kind: str
    sender: Address
    recipient: Address
    reply_to: Address
    subject: str
    message_id: str
    sent_at: datetime
    headers: Mapping[str, str]
    text: str
    html: str
    calendar: CalendarPart | None

    @property
    def needs_smtputf8(self) -> bool:
        """True if an address has a local part beyond ASCII; other servers cannot take it."""
        return not (self.recipient.addr_spec + self.sender.addr_spec).isascii()

    def to_bytes(self) -> bytes:
        """As it goes over the wire: its lines end with CR LF, and the same email is the same."""
        fields: tuple[tuple[str, str | Address], ...] = (
            ("Date", format_datetime(self.sent_at)),
            ("From", self.sender),
            ("To", self.recipient),
            ("Reply-To", self.reply_to),
            ("Subject", self.subject),
            ("Message-ID", self.message_id),
            *self.headers.items(),
        )
        parts: list[tuple[str, str, Mapping[str, str]]] = [
            ("plain", self.text, {}),
            ("html", self.html, {}),
        ]
        if self.calendar is not None:
            content = self.calendar.content.decode("utf-8")
            parts.append(("calendar", content, {"method": self.calendar.method}))
        # "=_" cannot occur in a quoted-printable body.
        boundary = "=_" + self.message_id[1:27]
        return mime.alternatives(fields, parts, boundary=boundary, utf8=self.needs_smtputf8)

"""What a message that came in says, as plain values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CalendarAnswer:
    """An event of a calendar part (RFC 5546). Its times are left out: they are not ours."""

    # In upper case: REPLY, COUNTER, REQUEST …
    method: str
    uid: str
    sequence: int
    stamped_at: datetime | None
    # (`email_key` of the address, PARTSTAT in upper case).
    attendees: tuple[tuple[str, str], ...]
    # What the person wrote beside their answer.
    comment: str
    # The only event, of one date, with few attendees, and not within a signature.
    is_plain: bool = True

    def partstat_of(self, address_key: str) -> str | None:
        """None if they are not among the attendees."""
        return next((stat for key, stat in self.attendees if key == address_key), None)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a mail server reports of one recipient; `status` such as 5.1.1, or empty."""

    recipient_key: str
    is_final: bool
    status: str
    # The words of the server that refused.
    text: str


@dataclass(frozen=True, slots=True)
class WordAnswer:
    """A reply whose first line is nothing but yes or no."""

    is_yes: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InboundFacts:
    # `email_key` of From; empty if there is none.
    sender_key: str = ""
    # An automatic reply, a mailing list's, or an email of our own that came back.
    is_automatic: bool = False
    is_ours: bool = False
    # None where no calendar part can be read; then `has_calendar` alone.
    calendar: CalendarAnswer | None = None
    has_calendar: bool = False
    # What was newly written, without quotes and signatures.
    text: str = ""
    answer: WordAnswer | None = None
    has_attachments: bool = False
    # Message-IDs in brackets: the one replied to first, then from the newest to the oldest.
    replies_to: tuple[str, ...] = ()
    reports: tuple[DeliveryReport, ...] = ()
    is_complaint: bool = False
    # Addresses of bounces that stand in a complaint.
    complained: tuple[str, ...] = ()
    # A DKIM or SPF of the sender's domain has passed, as our own mail server says.
    is_authentic: bool = False


UNREADABLE = InboundFacts()

"""What every letter is written from: the reader, the booking, the facts of the move, the links."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import config, links
from app.links import LinkPurpose
from app.store.models import Booking, OutboxEmail, Role
from emails.message import AnswerLinks, Envelope, Session, message_id

_FIRST_OF_THREAD = {
    Role.CLIENT: "booking_received",
    Role.THERAPIST: "booking_requested",
    Role.OPS: "answer_late_ops",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """One email to be written at `now`; `facts` are the numbers of the move that caused it."""

    email: OutboxEmail
    envelope: Envelope
    facts: dict[str, Any]
    now: datetime

    @property
    def booking(self) -> Booking:
        """The booking it is about; letters about accounts never ask."""
        booking = self.email.booking
        assert booking is not None
        return booking

    @property
    def session(self) -> Session:
        """What an email may say of the booking."""
        return session_of(self.booking)

    def link(self, purpose: LinkPurpose) -> str:
        """A fresh link to the booking, for whoever is sent links of that purpose."""
        return link_to(self.booking, purpose)

    def answer_links(self) -> AnswerLinks:
        """The three links with which the therapist answers."""
        return AnswerLinks(
            view=self.link(LinkPurpose.SESSION),
            accept=self.link(LinkPurpose.ACCEPT),
            decline=self.link(LinkPurpose.DECLINE),
        )


def link_to(booking: Booking, purpose: LinkPurpose) -> str:
    """A fresh link to a booking, for whoever is sent links of that purpose."""
    client_id, therapist_id = booking.client_id, booking.therapist_id
    holder = links.holder_of(purpose, client_id=client_id, therapist_id=therapist_id)
    return links.url(purpose, holder=holder, subject=booking.reference, epoch=booking.epoch)


def session_of(booking: Booking) -> Session:
    """What an email may say of a booking: first names, times, price, reference."""
    return Session(
        reference=booking.reference,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        kind=booking.kind.value,
        price_minor=booking.fee_minor,
        currency=booking.currency,
        client_name=booking.client.given_name,
        therapist_name=booking.therapist.given_name,
        client_zone=booking.client.timezone,
        therapist_zone=booking.therapist.timezone,
    )


def open_letter(email: OutboxEmail, now: datetime) -> Letter:
    """Address the letter. Raises UnsafeValue where no email may carry the address."""
    settings = config.current()
    address, reader, zone = _reader(email)
    root_kind = _FIRST_OF_THREAD[email.role]
    is_reply = email.booking is not None and email.kind != root_kind
    envelope = Envelope(
        recipient=address,
        first_name=reader,
        zone=zone,
        reference=email.booking.reference if email.booking else None,
        ordinal=email.ordinal,
        sender=settings.mail_default_sender,
        domain=settings.public_host,
        root=message_id(email.about, root_kind, address, 1, settings.public_host)
        if is_reply
        else None,
        sent_at=now,
    )
    return Letter(email, envelope, email.facts, now)


def _reader(email: OutboxEmail) -> tuple[str, str, str]:
    """Address, first name and time zone of whoever reads it."""
    recipient = email.recipient
    if recipient is None:
        return config.current().ops_email, "ops", "UTC"
    return recipient.email, recipient.given_name, recipient.timezone

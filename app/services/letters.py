"""From an outbox row to its email: the call of its emails/ function, with fresh signed links."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app import config, links
from app.links import Aim
from app.rules import money
from app.rules.lifecycle import Kind
from app.services import offers
from app.services.staleness import SIGN_IN_LASTS
from app.store import queries
from app.store.models import Booking, OutboxEmail, Role
from emails import to_client, to_ops, to_therapist, to_therapist_account
from emails.message import AnswerLinks, Envelope, Message, Offer, Session, message_id

Facts = dict[str, Any]

_FIRST_OF_THREAD = {
    Role.CLIENT: "booking_received",
    Role.THERAPIST: "booking_requested",
    Role.OPS: "answer_late_ops",
}


def compose(email: OutboxEmail, now: datetime) -> Message:
    """Render the email as things stand at `now`. Raises UnsafeValue where no email may say it."""
    envelope = _envelope(email, now)
    if email.booking is None:
        return _ABOUT_ACCOUNTS[email.kind](email, envelope)
    session = session_of(email.booking)
    write = _ABOUT_BOOKINGS[email.kind, email.role]
    return write(email.booking, envelope, session, email.facts, now)


def session_of(booking: Booking) -> Session:
    """What an email may say of a booking: first names, times, price, reference."""
    return Session(
        reference=booking.reference,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        kind=booking.kind.value,
        price_minor=booking.fee_minor,
        currency=booking.currency,
        client_name=_first(booking.client.name),
        therapist_name=_first(booking.therapist.name),
        client_zone=booking.client.timezone,
        therapist_zone=booking.therapist.timezone,
    )


def manage_url(booking: Booking) -> str:
    """A fresh Manage Booking link for the booking's client."""
    return links.address(
        Aim.MANAGE,
        holder=f"c{booking.client_id}",
        subject=booking.reference,
        epoch=booking.epoch,
    )


def choose_url(booking: Booking) -> str:
    """A fresh Choose Someone Else link for the booking's client."""
    return links.address(
        Aim.CHOOSE,
        holder=f"c{booking.client_id}",
        subject=booking.reference,
        epoch=booking.epoch,
    )


def _first(name: str) -> str:
    return name.split()[0]


def _envelope(email: OutboxEmail, now: datetime) -> Envelope:
    settings = config.current()
    address, first_name, zone = _reader(email)
    root_kind = _FIRST_OF_THREAD[email.role]
    is_reply = email.booking is not None and email.kind != root_kind
    return Envelope(
        recipient=address,
        first_name=first_name,
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


def _reader(email: OutboxEmail) -> tuple[str, str, str]:
    """Address, first name and time zone of whoever reads it."""
    if email.role is Role.OPS:
        return config.current().ops_email, "ops", "UTC"
    person = email.client if email.role is Role.CLIENT else email.therapist
    if email.booking is not None:
        booking = email.booking
        person = booking.client if email.role is Role.CLIENT else booking.therapist
    return person.email, _first(person.name), person.timezone


def _view_url(booking: Booking) -> str:
    return _therapist_link(Aim.SESSION, booking)


def _therapist_link(aim: Aim, booking: Booking) -> str:
    return links.address(
        aim,
        holder=f"t{booking.therapist_id}",
        subject=booking.reference,
        epoch=booking.epoch,
    )


def _answer_links(booking: Booking) -> AnswerLinks:
    return AnswerLinks(
        view=_view_url(booking),
        accept=_therapist_link(Aim.ACCEPT, booking),
        decline=_therapist_link(Aim.DECLINE, booking),
    )


def _dashboard_url() -> str:
    return f"{config.current().public_url}/dashboard"


def _offers(booking: Booking, now: datetime) -> tuple[Offer, ...]:
    base = choose_url(booking)
    is_free = booking.kind is Kind.FREE_CONSULTATION
    return tuple(
        Offer(
            therapist_name=_first(slot.therapist.name),
            starts_at=slot.starts_at,
            url=f"{base}?" + urlencode({"therapist": slot.therapist.slug, "at": slot.key}),
            price_minor=0 if is_free else slot.therapist.rate_minor,
            currency=slot.therapist.currency,
        )
        for slot in offers.others_for(booking, now)
    )


def _their_day(booking: Booking) -> list[Session]:
    """The therapist's accepted sessions on the day of the enquiry, in their zone."""
    zone = ZoneInfo(booking.therapist.timezone)
    midnight = booking.starts_at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    next_midnight = (midnight + timedelta(days=1)).replace(fold=0)
    return [
        session_of(other)
        for other in queries.accepted_between(
            booking.therapist, midnight.astimezone(UTC), next_midnight.astimezone(UTC)
        )
    ]


def _booking_requested(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    percent = config.current().policy.commission_percent
    return to_therapist.booking_requested(
        envelope,
        session,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        payout_minor=money.split_fee(booking.fee_minor, percent).payout_minor,
        commission_percent=percent,
        sequence=booking.sequence,
        links=_answer_links(booking),
        day=_their_day(booking),
    )


def _booking_received(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_client.booking_received(
        envelope,
        session,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        free_cancellation=config.current().policy.free_cancellation,
        manage_url=manage_url(booking),
    )


def _booking_accepted(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_client.booking_accepted(
        envelope,
        session,
        meeting_url=booking.therapist.meeting_url,
        manage_url=manage_url(booking),
        sequence=facts["sequence"],
        free_cancellation=config.current().policy.free_cancellation,
    )


def _session_confirmed(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_therapist.session_confirmed(
        envelope,
        session,
        view_url=_view_url(booking),
        sequence=facts["sequence"],
        meeting_url=booking.therapist.meeting_url,
    )


def _booking_declined(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_client.booking_declined(
        envelope,
        session,
        refund_minor=facts["refund_minor"],
        offers=_offers(booking, now),
        choose_url=choose_url(booking),
        manage_url=manage_url(booking),
    )


def _enquiry_declined(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_therapist.enquiry_declined(
        envelope, session, sequence=facts["sequence"], view_url=_view_url(booking)
    )


def _booking_withdrawn(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_therapist.booking_withdrawn(
        envelope, session, sequence=facts["sequence"], view_url=_view_url(booking)
    )


def _withdrawal_receipt(
    booking: Booking, envelope: Envelope, session: Session, facts: Facts, now: datetime
) -> Message:
    return to_client.withdrawal_receipt(
        envelope, session, refund_minor=facts["refund_minor"], manage_url=manage_url(booking)
    )


def _sign_in(email: OutboxEmail, envelope: Envelope) -> Message:
    return to_therapist_account.sign_in(
        envelope,
        sign_in_url=links.address(
            Aim.SIGN_IN, holder=f"t{email.therapist_id}", subject=email.facts["key"]
        ),
        minutes=int(SIGN_IN_LASTS / timedelta(minutes=1)),
    )


def _your_links(email: OutboxEmail, envelope: Envelope) -> Message:
    live = queries.live_bookings_of_client(email.client, envelope.sent_at)
    return to_client.your_links(
        envelope, bookings=[(session_of(booking), manage_url(booking)) for booking in live]
    )


_ABOUT_BOOKINGS: dict[
    tuple[str, Role], Callable[[Booking, Envelope, Session, Facts, datetime], Message]
] = {
    ("booking_requested", Role.THERAPIST): _booking_requested,
    ("booking_received", Role.CLIENT): _booking_received,
    ("booking_accepted", Role.CLIENT): _booking_accepted,
    ("session_confirmed", Role.THERAPIST): _session_confirmed,
    ("booking_declined", Role.CLIENT): _booking_declined,
    ("enquiry_declined", Role.THERAPIST): _enquiry_declined,
    ("booking_withdrawn", Role.THERAPIST): _booking_withdrawn,
    ("withdrawal_receipt", Role.CLIENT): _withdrawal_receipt,
}

_ABOUT_ACCOUNTS: dict[str, Callable[[OutboxEmail, Envelope], Message]] = {
    "sign_in": _sign_in,
    "your_links": _your_links,
}

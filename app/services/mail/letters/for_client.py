"""The letters to clients."""

from collections.abc import Callable
from urllib.parse import urlencode

from app import config
from app.links import LinkPurpose
from app.rules.lifecycle import Kind
from app.services.bookings import replace
from app.services.mail.letters.letter import Letter, link_to, session_of
from app.store import queries
from emails import to_client
from emails.message import Message, Offer


def _offers(letter: Letter) -> tuple[Offer, ...]:
    booking = letter.booking
    base = letter.link(LinkPurpose.CHOOSE)
    is_free = booking.kind is Kind.FREE_CONSULTATION
    return tuple(
        Offer(
            therapist_name=slot.therapist.given_name,
            starts_at=slot.starts_at,
            url=f"{base}?" + urlencode({"therapist": slot.therapist.slug, "at": slot.key}),
            price_minor=0 if is_free else slot.therapist.rate_minor,
            currency=slot.therapist.currency,
        )
        for slot in replace.alternatives_for(booking, letter.now)
    )


def _booking_received(letter: Letter) -> Message:
    return to_client.booking_received(
        letter.envelope,
        letter.session,
        answer_by=letter.booking.answer_by,
        expires_at=letter.booking.expires_at,
        free_cancellation=config.current().policy.free_cancellation,
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _booking_accepted(letter: Letter) -> Message:
    return to_client.booking_accepted(
        letter.envelope,
        letter.session,
        meeting_url=letter.booking.therapist.meeting_url,
        manage_url=letter.link(LinkPurpose.MANAGE),
        sequence=letter.facts["sequence"],
        free_cancellation=config.current().policy.free_cancellation,
    )


def _booking_declined(letter: Letter) -> Message:
    return to_client.booking_declined(
        letter.envelope,
        letter.session,
        refund_minor=letter.facts["refund_minor"],
        offers=_offers(letter),
        choose_url=letter.link(LinkPurpose.CHOOSE),
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _answer_late_client(letter: Letter) -> Message:
    return to_client.answer_late_client(
        letter.envelope,
        letter.session,
        expires_at=letter.booking.expires_at,
        choose_url=letter.link(LinkPurpose.CHOOSE),
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _booking_expired(letter: Letter) -> Message:
    return to_client.booking_expired(
        letter.envelope,
        letter.session,
        refund_minor=letter.facts["refund_minor"],
        offers=_offers(letter),
        choose_url=letter.link(LinkPurpose.CHOOSE),
        manage_url=letter.link(LinkPurpose.MANAGE),
        because=letter.facts["because"],
    )


def _withdrawal_receipt(letter: Letter) -> Message:
    return to_client.withdrawal_receipt(
        letter.envelope,
        letter.session,
        refund_minor=letter.facts["refund_minor"],
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _cancellation_receipt(letter: Letter) -> Message:
    return to_client.cancellation_receipt(
        letter.envelope,
        letter.session,
        refund_minor=letter.facts["refund_minor"],
        charge_minor=letter.facts["charge_minor"],
        is_late=letter.facts["within_notice"],
        free_cancellation=config.current().policy.free_cancellation,
        sequence=letter.facts["sequence"],
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _therapist_cancelled(letter: Letter) -> Message:
    return to_client.therapist_cancelled(
        letter.envelope,
        letter.session,
        refund_minor=letter.facts["refund_minor"],
        offers=_offers(letter),
        choose_url=letter.link(LinkPurpose.CHOOSE),
        manage_url=letter.link(LinkPurpose.MANAGE),
        sequence=letter.facts["sequence"],
    )


def _session_reminder(letter: Letter) -> Message:
    return to_client.session_reminder(
        letter.envelope,
        letter.session,
        meeting_url=letter.booking.therapist.meeting_url,
        manage_url=letter.link(LinkPurpose.MANAGE),
    )


def _no_show_recorded(letter: Letter) -> Message:
    return to_client.no_show_recorded(
        letter.envelope,
        letter.session,
        charge_minor=letter.facts["charge_minor"],
        manage_url=letter.link(LinkPurpose.MANAGE),
        support_email=config.current().ops_email,
    )


def _new_message(letter: Letter) -> Message:
    return to_client.new_message(
        letter.envelope, letter.session, manage_url=letter.link(LinkPurpose.MANAGE)
    )


def _your_links(letter: Letter) -> Message:
    client = letter.email.client
    assert client is not None
    live = queries.live_bookings_of_client(client, letter.now)
    return to_client.your_links(
        letter.envelope,
        bookings=[(session_of(booking), link_to(booking, LinkPurpose.MANAGE)) for booking in live],
    )


WRITERS: dict[str, Callable[[Letter], Message]] = {
    "booking_received": _booking_received,
    "booking_accepted": _booking_accepted,
    "booking_declined": _booking_declined,
    "answer_late_client": _answer_late_client,
    "booking_expired": _booking_expired,
    "withdrawal_receipt": _withdrawal_receipt,
    "cancellation_receipt": _cancellation_receipt,
    "therapist_cancelled": _therapist_cancelled,
    "session_reminder": _session_reminder,
    "no_show_recorded": _no_show_recorded,
    "new_message": _new_message,
    "your_links": _your_links,
}

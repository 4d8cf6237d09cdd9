"""A booking as emails, pages and the command line speak of it."""

from app import config
from app.store.models import Booking
from emails.message import Session


def session_of(booking: Booking) -> Session:
    return Session(
        reference=booking.reference,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        kind=booking.kind.value,
        price_minor=booking.fee_minor,
        currency=booking.currency,
        payment=config.current().payment,
        client_name=booking.client_given_name,
        therapist_name=booking.therapist.given_name,
        client_zone=booking.client_timezone,
        therapist_zone=booking.therapist.timezone,
    )

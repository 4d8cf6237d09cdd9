"""Every email to a client: one function per kind.

All instants are aware UTC, money is in minor units of the session's currency, and every function
raises UnsafeValue naming the value that no email may carry.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from emails.calendar import cancellation, invitation
from emails.message import Envelope, Message, Offer, Session
from emails.render import compose

Because = Literal["unanswered", "deactivated"]


def booking_received(
    envelope: Envelope,
    session: Session,
    *,
    answer_by: datetime,
    expires_at: datetime,
    free_cancellation: timedelta,
    manage_url: str,
) -> Message:
    """What was asked for, when to expect an answer, and the cancellation rule."""
    return compose(
        "booking_received",
        "client",
        envelope,
        session,
        answer_by=answer_by,
        expires_at=expires_at,
        free_cancellation=free_cancellation,
        manage_url=manage_url,
    )


def booking_accepted(
    envelope: Envelope,
    session: Session,
    *,
    meeting_url: str | None,
    manage_url: str,
    sequence: int,
    free_cancellation: timedelta,
) -> Message:
    """The confirmation: where to meet, the calendar event, the cancellation rule."""
    return compose(
        "booking_accepted",
        "client",
        envelope,
        session,
        calendar=invitation(
            envelope,
            session,
            sequence=sequence,
            confirmed=True,
            meeting_url=meeting_url,
        ),
        meeting_url=meeting_url,
        manage_url=manage_url,
        free_cancellation=free_cancellation,
    )


def booking_declined(
    envelope: Envelope,
    session: Session,
    *,
    refund_minor: int,
    offers: Sequence[Offer],
    choose_url: str,
    manage_url: str,
) -> Message:
    """The therapist cannot; the refund and who else is free. A reason waits behind the link."""
    return compose(
        "booking_declined",
        "client",
        envelope,
        session,
        refund_minor=refund_minor,
        offers=offers,
        is_all_then=_is_all_then(session, offers),
        choose_url=choose_url,
        manage_url=manage_url,
    )


def answer_late_client(
    envelope: Envelope,
    session: Session,
    *,
    expires_at: datetime,
    choose_url: str,
    manage_url: str,
) -> Message:
    """No answer yet: we are chasing, and Choose Someone Else is open to them."""
    return compose(
        "answer_late_client",
        "client",
        envelope,
        session,
        expires_at=expires_at,
        choose_url=choose_url,
        manage_url=manage_url,
    )


def booking_expired(
    envelope: Envelope,
    session: Session,
    *,
    refund_minor: int,
    offers: Sequence[Offer],
    choose_url: str,
    manage_url: str,
    because: Because,
) -> Message:
    """Nobody answered, or the therapist left the service: the refund and who else is free."""
    return compose(
        "booking_expired",
        "client",
        envelope,
        session,
        refund_minor=refund_minor,
        offers=offers,
        is_all_then=_is_all_then(session, offers),
        choose_url=choose_url,
        manage_url=manage_url,
        because=because,
    )


def withdrawal_receipt(
    envelope: Envelope, session: Session, *, refund_minor: int, manage_url: str
) -> Message:
    """Their own withdrawal and its refund."""
    return compose(
        "withdrawal_receipt",
        "client",
        envelope,
        session,
        refund_minor=refund_minor,
        manage_url=manage_url,
    )


def cancellation_receipt(
    envelope: Envelope,
    session: Session,
    *,
    refund_minor: int,
    charge_minor: int,
    is_late: bool,
    free_cancellation: timedelta,
    sequence: int,
    manage_url: str,
) -> Message:
    """Their own cancellation: what is refunded or charged, and why. Takes the event away.

    `is_late`: it came `free_cancellation` or less before the start.
    """
    return compose(
        "cancellation_receipt",
        "client",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        refund_minor=refund_minor,
        charge_minor=charge_minor,
        is_late=is_late,
        free_cancellation=free_cancellation,
        manage_url=manage_url,
    )


def therapist_cancelled(
    envelope: Envelope,
    session: Session,
    *,
    refund_minor: int,
    offers: Sequence[Offer],
    choose_url: str,
    manage_url: str,
    sequence: int,
) -> Message:
    """The therapist cancelled: the refund and who else is free. Takes the event away."""
    return compose(
        "therapist_cancelled",
        "client",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        refund_minor=refund_minor,
        offers=offers,
        is_all_then=_is_all_then(session, offers),
        choose_url=choose_url,
        manage_url=manage_url,
    )


def session_reminder(
    envelope: Envelope, session: Session, *, meeting_url: str | None, manage_url: str
) -> Message:
    """The session is near: when and where (how near follows from the envelope's `sent_at`)."""
    return compose(
        "session_reminder",
        "client",
        envelope,
        session,
        meeting_url=meeting_url,
        manage_url=manage_url,
    )


def no_show_recorded(
    envelope: Envelope,
    session: Session,
    *,
    charge_minor: int,
    support_email: str,
    manage_url: str,
) -> Message:
    """What the therapist recorded, what it costs, and that `support_email` hears objections."""
    return compose(
        "no_show_recorded",
        "client",
        envelope,
        session,
        charge_minor=charge_minor,
        support_email=support_email,
        manage_url=manage_url,
    )


def new_message(envelope: Envelope, session: Session, *, manage_url: str) -> Message:
    """A message from the therapist waits behind the link."""
    return compose("new_message", "client", envelope, session, manage_url=manage_url)


def your_links(envelope: Envelope, *, bookings: Sequence[tuple[Session, str]]) -> Message:
    """A Manage Booking link for each live booking: pairs of session and link, soonest first."""
    return compose("your_links", "client", envelope, bookings=bookings)


def _is_all_then(session: Session, offers: Sequence[Offer]) -> bool:
    return all(offer.starts_at == session.starts_at for offer in offers)

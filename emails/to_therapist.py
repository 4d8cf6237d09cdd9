"""Every email to a therapist about a booking: one function per kind.

All instants are aware UTC, money is in minor units of the session's currency, and every function
raises UnsafeValue naming the value that no email may carry.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from emails.calendar import cancellation, invitation
from emails.formatting import date
from emails.message import AnswerLinks, Envelope, Message, Session
from emails.render import compose

Because = Literal["unanswered", "deactivated"]
ALARM_MINUTES = 15


def booking_requested(
    envelope: Envelope,
    session: Session,
    *,
    answer_by: datetime,
    expires_at: datetime,
    payout_minor: int,
    commission_percent: Decimal,
    sequence: int,
    links: AnswerLinks,
    day: Sequence[Session],
) -> Message:
    """The request: who, when, the fee, answer-by, and how their day looks.

    `day` holds the therapist's accepted sessions around it; those on other days of their own
    calendar are left out here.
    """
    zone = envelope.zone
    that_day = [one for one in day if date(one.starts_at, zone) == date(session.starts_at, zone)]
    return compose(
        "booking_requested",
        "therapist",
        envelope,
        session,
        calendar=invitation(
            envelope,
            session,
            sequence=sequence,
            confirmed=False,
            alarm_minutes=ALARM_MINUTES,
        ),
        answer_by=answer_by,
        expires_at=expires_at,
        payout_minor=payout_minor,
        commission_percent=commission_percent,
        links=links,
        day=sorted([*that_day, session], key=lambda one: one.starts_at),
    )


def session_confirmed(
    envelope: Envelope,
    session: Session,
    *,
    view_url: str,
    sequence: int,
    meeting_url: str | None,
) -> Message:
    """Their own yes: the event becomes firm."""
    return compose(
        "session_confirmed",
        "therapist",
        envelope,
        session,
        calendar=invitation(
            envelope,
            session,
            sequence=sequence,
            confirmed=True,
            meeting_url=meeting_url,
            alarm_minutes=ALARM_MINUTES,
        ),
        view_url=view_url,
        meeting_url=meeting_url,
    )


def enquiry_declined(
    envelope: Envelope, session: Session, *, sequence: int, view_url: str
) -> Message:
    """Their own no is recorded; takes the event away."""
    return compose(
        "enquiry_declined",
        "therapist",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        view_url=view_url,
    )


def answer_reminder(
    envelope: Envelope,
    session: Session,
    *,
    answer_by: datetime,
    expires_at: datetime,
    links: AnswerLinks,
) -> Message:
    """The time left to answer, counted from the envelope's `sent_at`."""
    return compose(
        "answer_reminder",
        "therapist",
        envelope,
        session,
        left=max(answer_by - envelope.sent_at, timedelta(0)),
        answer_by=answer_by,
        expires_at=expires_at,
        links=links,
    )


def answer_late(
    envelope: Envelope,
    session: Session,
    *,
    answer_by: datetime,
    expires_at: datetime,
    links: AnswerLinks,
) -> Message:
    """The enquiry is late: what that does to ranking, and that an answer still counts."""
    return compose(
        "answer_late",
        "therapist",
        envelope,
        session,
        answer_by=answer_by,
        expires_at=expires_at,
        links=links,
    )


def enquiry_expired(
    envelope: Envelope,
    session: Session,
    *,
    sequence: int,
    view_url: str,
    because: Because,
) -> Message:
    """The enquiry ended unanswered, or with the account; takes the event away."""
    return compose(
        "enquiry_expired",
        "therapist",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        view_url=view_url,
        because=because,
    )


def booking_withdrawn(
    envelope: Envelope, session: Session, *, sequence: int, view_url: str
) -> Message:
    """The client withdrew before an answer; takes the event away."""
    return compose(
        "booking_withdrawn",
        "therapist",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        view_url=view_url,
    )


def client_cancelled(
    envelope: Envelope,
    session: Session,
    *,
    sequence: int,
    payout_minor: int,
    commission_minor: int,
    free_cancellation: timedelta,
    view_url: str,
) -> Message:
    """The client cancelled: who pays what and why (0 and 0 if in time). Takes the event away."""
    return compose(
        "client_cancelled",
        "therapist",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        payout_minor=payout_minor,
        commission_minor=commission_minor,
        free_cancellation=free_cancellation,
        view_url=view_url,
    )


def cancellation_recorded(
    envelope: Envelope,
    session: Session,
    *,
    sequence: int,
    streak: int,
    warn_streak: int,
    flag_streak: int,
    deactivate_streak: int,
    view_url: str,
) -> Message:
    """Their own cancellation: the streak now and what comes next. Takes the event away."""
    return compose(
        "cancellation_recorded",
        "therapist",
        envelope,
        session,
        calendar=cancellation(envelope, session, sequence=sequence),
        streak=streak,
        warn_streak=warn_streak,
        flag_streak=flag_streak,
        deactivate_streak=deactivate_streak,
        view_url=view_url,
    )


def session_reminder(
    envelope: Envelope, session: Session, *, meeting_url: str | None, view_url: str
) -> Message:
    """The session is near: when and where (how near follows from the envelope's `sent_at`)."""
    return compose(
        "session_reminder",
        "therapist",
        envelope,
        session,
        meeting_url=meeting_url,
        view_url=view_url,
    )


def new_message(envelope: Envelope, session: Session, *, view_url: str) -> Message:
    """A message from the client waits behind the link."""
    return compose("new_message", "therapist", envelope, session, view_url=view_url)

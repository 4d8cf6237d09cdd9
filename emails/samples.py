"""A fixed sample of every email, named `kind`, `kind.role` or `kind.situation`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

from emails.kinds import KINDS, Role
from emails.message import (
    EmailContext,
    Envelope,
    Message,
    Offer,
    ProposedTime,
    Session,
    UnconfirmedRequest,
)
from emails.render import render

SITE = "https://bookings.mindsum.example"
DOMAIN = "bookings.mindsum.example"
REFERENCE = "MB-7K3QXD"
SENDER = "Mindsum <bookings@mindsum.example>"
OPS = "ops@mindsum.example"
SUPPORT = "help@mindsum.example"
CRISIS_NOTE = "In danger now? Call 999."

REQUESTED_AT = datetime(2026, 11, 2, 9, 5, tzinfo=UTC)
ANSWER_BY = REQUESTED_AT + timedelta(hours=3)
EXPIRES_AT = REQUESTED_AT + timedelta(hours=24)
STARTS_AT = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
ONE_DAY = timedelta(hours=24)
ONE_HOUR_BEFORE = STARTS_AT - timedelta(hours=1)
FIRST_REMINDER_AT = STARTS_AT - timedelta(hours=26)

CHOOSE_URL = f"{SITE}/link/choose/WyJNQi03SzNRWEQiLDFd.aQdE2w.p1XwHc5Lr8uJdTz0GkqSeBv7Nno"
BOOKING_URLS: dict[Role, str] = {
    "client": f"{SITE}/link/manage/WyJNQi03SzNRWEQiLDFd.aQdE2w.mT7cG0cN8o1vVbA4s3LkQfYx2Zk",
    "therapist": f"{SITE}/link/session/WyJNQi03SzNRWEQiLDFd.aQdE2w.Zb3KfR9tYw6MxCj1HsLeUo8Pq4A",
}
TAKE_URL = f"{SITE}/link/take/WyJNQi03SzNRWEQiLDFd.aQdE2w.Hn5JqXc2VrTe8LwYb0UmKzPf3So"
ENTRY_URLS: dict[Role, str] = {
    "client": f"{SITE}/my-links",
    "therapist": f"{SITE}/dashboard/sessions/{REFERENCE}",
}
READERS: dict[Role, tuple[str, str, str]] = {
    "client": ("dee@example.com", "Dee", "America/New_York"),
    "therapist": ("asha@example.com", "Asha", "Europe/London"),
    "ops": (OPS, "Ops", "UTC"),
}

# What the mail door calls its recipients.
DOOR: dict[Role, str] = {
    "client": "book+c1-7zqk3m5a2xw4trbn6yhc@in.mindsum.example",
    "therapist": "book+t1-inpuwpdrzfdztd6caxzq@in.mindsum.example",
    "ops": "",
}


def make_session(
    starts_at: datetime = STARTS_AT, client_name: str = "Dee", reference: str = REFERENCE
) -> Session:
    """A paid session of 50 minutes with Asha in London; the client is in New York."""
    return Session(
        reference=reference,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=50),
        kind="paid",
        price_minor=6000,
        currency="GBP",
        payment="later",
        client_name=client_name,
        therapist_name="Asha",
        client_zone="America/New_York",
        therapist_zone="Europe/London",
    )


SESSION = make_session()
SESSION_NEXT_WEEK = make_session(STARTS_AT + 7 * ONE_DAY, reference="MB-4VJ6RN")


def make_envelope(role: Role, *, reference: str | None = REFERENCE, **changes: Any) -> Envelope:
    recipient, reader, zone = READERS[role]
    fields: dict[str, Any] = {
        "recipient": recipient,
        "reader": reader,
        "zone": zone,
        "ordinal": 1,
        "sender": SENDER,
        "support_email": SUPPORT,
        "crisis_note": CRISIS_NOTE,
        "domain": DOMAIN,
        "sent_at": REQUESTED_AT,
    }
    return Envelope(role=role, reference=reference, **{**fields, **changes})


OFFERS = tuple(
    Offer(
        therapist_name=name,
        starts_at=STARTS_AT,
        url=f"{CHOOSE_URL}?therapist={name.lower()}",
        price_minor=price,
        currency="GBP",
    )
    for name, price in (("Bran", 5500), ("Chi", 7000))
)
REQUEST = UnconfirmedRequest(
    therapist_name="Asha",
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + timedelta(minutes=50),
    kind="paid",
    price_minor=6000,
    currency="GBP",
    expires_at=REQUESTED_AT + ONE_DAY,
    confirm_url=f"{SITE}/link/confirm/WyJNQi03SzNRWEQiLDFd.aQdE2w.Qm4VtB7nLs2KxWc9ZrEyHu5Jd1o",
)
OTHER_SESSIONS = (
    make_session(STARTS_AT - timedelta(hours=4), "Eli", "MB-2F8HWP"),
    make_session(STARTS_AT + timedelta(hours=2), "Eli", "MB-9TZC4M"),
)
PROPOSED = tuple(
    ProposedTime(starts_at=STARTS_AT + days * ONE_DAY, url=f"{TAKE_URL}?at={days}")
    for days in (1, 2)
)
# A value for every name in kinds.py; each email takes those that its row names.
VALUES: dict[str, Any] = {
    "payout_minor": 5400,
    "commission_minor": 600,
    "within_notice": True,
    "because": "unanswered",
    "what": "deactivated",
    "streak": 5,
    "answer_by": ANSWER_BY,
    "expires_at": EXPIRES_AT,
    "free_cancellation": ONE_DAY,
    "is_first_reminder": False,
    "commission_percent": Decimal(10),
    "warn_streak": 3,
    "flag_streak": 4,
    "deactivate_streak": 5,
    "status": "accepted",
    "why": "maybe",
    "email": 42,
    "mail_domain": "example.com",
    "other_unreached": False,
    "others_unreached": (),
    "unreached": (),
    "was_asked_in_time": True,
    "sign_in_minutes": 15,
    "steps_done": ("meeting_link",),
    "rate_minor": 6000,
    "currency": "GBP",
    "is_visible": True,
    "times_that_day": tuple(
        (each.starts_at, each.ends_at) for each in (OTHER_SESSIONS[0], SESSION, OTHER_SESSIONS[1])
    ),
    "sessions": OTHER_SESSIONS,
    "offers": OFFERS,
    "live_bookings": (
        (SESSION, BOOKING_URLS["client"]),
        (SESSION_NEXT_WEEK, f"{BOOKING_URLS['client']}2"),
    ),
    "requests": (REQUEST,),
    "unconfirmed_minutes": Decimal(30),
    "therapist_slug": "asha",
    "has_phone": False,
    "is_unlisted": False,
    "command": "mindsum",
    "has_new_link": False,
    "has_moved": False,
    "in_answer": False,
    "took_suggestion": False,
    "waits_for_client": False,
    "by_ops": False,
    "by_deactivation": False,
    "cancelled_because": "notice",
    "account": "active",
    "is_reminder": False,
    "may_suggest": True,
    "how": "declined",
    "proposed_by": "client",
    "proposed_times": PROPOSED,
    "proposal_until": EXPIRES_AT,
    "can_keep": True,
    "old_starts_at": STARTS_AT - ONE_DAY,
    "suggest_url": f"{SITE}/link/suggest/WyJNQi03SzNRWEQiLDFd.aQdE2w.Wd6GkYt1CsPv9RxNj4BqMaZh7Eu",
    "keep_url": f"{SITE}/link/keep/WyJNQi03SzNRWEQiLDFd.aQdE2w.Lf8RmCz3DxUy6TwSk1VpNbQj5Gi",
    "meeting_url": "https://meet.example.com/asha-7f3k",
    "accept_url": f"{SITE}/link/accept/WyJNQi03SzNRWEQiLDFd.aQdE2w.J8sDk2LmQw0RtYb5VnXc7GhZe1U",
    "decline_url": f"{SITE}/link/decline/WyJNQi03SzNRWEQiLDFd.aQdE2w.T4yUi9OpAs6DfGh2JkLz8XcVb0N",
    "choose_url": CHOOSE_URL,
    "sign_in_url": f"{SITE}/link/sign-in/WzFd.aQdE2w.Kk3",
    "dashboard_url": f"{SITE}/dashboard",
}


def rule_at(at: datetime, session: Session | None, *, is_enquiry: bool) -> SimpleNamespace | None:
    """The rule of cancelling that session at that moment."""
    if session is None:
        return None
    free_until = session.starts_at - ONE_DAY
    return SimpleNamespace(
        is_enquiry=is_enquiry,
        starts_at=session.starts_at,
        free_until=free_until,
        is_free=at < free_until,
        has_started=at >= session.starts_at,
        because="notice",
    )


def sample(
    kind: str,
    to: Role | None = None,
    *,
    sent_at: datetime = REQUESTED_AT,
    sequence: int = 1,
    session: Session | None = SESSION,
    thread: Session | None = None,
    hears: bool = False,
    **values: object,
) -> Message:
    role = to or KINDS[kind].to[0]
    reference = session.reference if session else None
    rule = rule_at(sent_at, session, is_enquiry=kind == "booking_received")
    return render(
        kind,
        EmailContext(
            envelope=make_envelope(
                role, reference=reference, sent_at=sent_at, reply_to=DOOR[role] if hears else ""
            ),
            session=session,
            thread=thread,
            sequence=sequence,
            organizer=f"Mindsum <{DOOR[role]}>" if hears else SENDER,
            hears_answers=hears,
            entry_url=ENTRY_URLS.get(role, ""),
            values={
                **VALUES,
                "booking_url": BOOKING_URLS.get(role),
                "cancelling_rule": rule,
                **values,
            },
        ),
    )


SAMPLES: dict[str, Callable[[], Message]] = {
    "confirm_request": partial(sample, "confirm_request", session=None),
    "booking_requested": partial(sample, "booking_requested", sequence=0),
    "booking_received": partial(sample, "booking_received"),
    "booking_accepted": partial(sample, "booking_accepted"),
    "session_confirmed": partial(sample, "session_confirmed"),
    "booking_declined": partial(sample, "booking_declined"),
    "enquiry_declined": partial(sample, "enquiry_declined"),
    "answer_reminder": partial(
        sample, "answer_reminder", sent_at=REQUESTED_AT + timedelta(hours=2)
    ),
    "answer_late": partial(sample, "answer_late", sent_at=ANSWER_BY),
    "answer_late_client": partial(sample, "answer_late_client", sent_at=ANSWER_BY),
    "answer_late_ops": partial(sample, "answer_late_ops", sent_at=ANSWER_BY),
    "booking_expired": partial(sample, "booking_expired", sent_at=EXPIRES_AT),
    "enquiry_expired": partial(sample, "enquiry_expired", sent_at=EXPIRES_AT),
    "booking_withdrawn": partial(sample, "booking_withdrawn"),
    "withdrawal_receipt": partial(sample, "withdrawal_receipt"),
    "client_cancelled": partial(sample, "client_cancelled", sent_at=ONE_HOUR_BEFORE, sequence=2),
    "cancellation_receipt": partial(
        sample, "cancellation_receipt", sent_at=ONE_HOUR_BEFORE, sequence=2
    ),
    "therapist_cancelled": partial(
        sample, "therapist_cancelled", sent_at=ONE_HOUR_BEFORE, sequence=2
    ),
    "cancellation_recorded": partial(
        sample, "cancellation_recorded", sent_at=ONE_HOUR_BEFORE, sequence=2, streak=2
    ),
    "session_reminder.client": partial(
        sample, "session_reminder", "client", sent_at=ONE_HOUR_BEFORE
    ),
    "session_reminder.therapist": partial(
        sample, "session_reminder", "therapist", sent_at=FIRST_REMINDER_AT, is_first_reminder=True
    ),
    "time_proposed.client": partial(sample, "time_proposed", "client", status="requested"),
    "time_proposed.therapist": partial(sample, "time_proposed", "therapist"),
    "time_taken.client": partial(sample, "time_taken", "client", sequence=2),
    "time_taken.therapist": partial(sample, "time_taken", "therapist", sequence=2),
    "time_kept.client": partial(sample, "time_kept", "client"),
    "time_kept.therapist": partial(sample, "time_kept", "therapist", status="requested"),
    "no_show_recorded": partial(sample, "no_show_recorded", sent_at=STARTS_AT + timedelta(hours=2)),
    "new_message.client": partial(sample, "new_message", "client"),
    "new_message.therapist": partial(sample, "new_message", "therapist"),
    "answer_not_taken.therapist": partial(
        sample, "answer_not_taken", "therapist", why="maybe", status="requested"
    ),
    "answer_not_taken.client": partial(
        sample, "answer_not_taken", "client", why="cancels", status="accepted"
    ),
    "reply_not_placed.therapist": partial(sample, "reply_not_placed", "therapist", session=None),
    "reply_not_placed.client": partial(sample, "reply_not_placed", "client", session=None),
    "mail_alert": partial(sample, "mail_alert", session=None, what="refused"),
    "client_unreachable.therapist": partial(sample, "client_unreachable", "therapist"),
    "client_unreachable.ops": partial(sample, "client_unreachable", "ops"),
    "therapist_unreachable": partial(sample, "therapist_unreachable"),
    "sign_in": partial(sample, "sign_in", session=None),
    "ops_sign_in": partial(sample, "ops_sign_in", session=None),
    "your_links": partial(sample, "your_links", session=None),
    "welcome": partial(sample, "welcome", session=None),
    "streak_warning": partial(sample, "streak_warning", session=None, streak=3),
    "account_flagged": partial(sample, "account_flagged", session=None, streak=4),
    "account_deactivated": partial(sample, "account_deactivated", session=None),
    "account_reactivated": partial(sample, "account_reactivated", session=None),
    "account_alert": partial(sample, "account_alert", session=None, sent_at=ANSWER_BY),
    "account_alert.unreachable": partial(
        sample,
        "account_alert",
        sent_at=ANSWER_BY,
        what="unreachable",
        is_unlisted=True,
        streak=None,
        sessions=(SESSION,),
    ),
}

"""One fixed sample of every email, for previews and tests; `kind.role` or `kind.situation`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from emails import to_client, to_ops, to_therapist, to_therapist_account
from emails.message import AnswerLinks, Envelope, Message, Offer, Session, message_id

SITE = "https://bookings.mindsum.example"
DOMAIN = "bookings.mindsum.example"
REFERENCE = "MB-7K3QXD"
SUPPORT = "ops@mindsum.example"

ASKED_AT = datetime(2026, 11, 2, 9, 5, tzinfo=UTC)
ANSWER_BY = ASKED_AT + timedelta(hours=3)
EXPIRES_AT = ASKED_AT + timedelta(hours=24)
STARTS_AT = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
A_DAY = timedelta(hours=24)


def session(
    starts_at: datetime = STARTS_AT,
    client_name: str = "Dee",
    reference: str = REFERENCE,
) -> Session:
    """A paid session of 50 minutes with Asha in London; the client is in New York."""
    return Session(
        reference=reference,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=50),
        kind="paid",
        price_minor=6000,
        currency="GBP",
        client_name=client_name,
        therapist_name="Asha",
        client_zone="America/New_York",
        therapist_zone="Europe/London",
    )


def envelope(
    recipient: str,
    first_name: str,
    zone: str,
    *,
    reference: str | None = REFERENCE,
    first: str | None = None,
    sent_at: datetime = ASKED_AT,
) -> Envelope:
    """An envelope in the thread that the kind `first` opened."""
    root = message_id(reference, first, recipient, 1, DOMAIN) if first else None
    return Envelope(
        recipient=recipient,
        first_name=first_name,
        zone=zone,
        reference=reference,
        ordinal=1,
        sender="Mindsum <bookings@mindsum.example>",
        domain=DOMAIN,
        root=root,
        sent_at=sent_at,
    )


def _to_asha(sent_at: datetime = ASKED_AT, reference: str | None = REFERENCE) -> Envelope:
    first = "booking_requested" if reference else None
    return envelope(
        "asha@example.com",
        "Asha",
        "Europe/London",
        reference=reference,
        first=first,
        sent_at=sent_at,
    )


def _to_dee(sent_at: datetime = ASKED_AT, reference: str | None = REFERENCE) -> Envelope:
    first = "booking_received" if reference else None
    return envelope(
        "dee@example.com",
        "Dee",
        "America/New_York",
        reference=reference,
        first=first,
        sent_at=sent_at,
    )


def _to_ops(reference: str | None = None) -> Envelope:
    return envelope(SUPPORT, "Ops", "UTC", reference=reference, sent_at=ANSWER_BY)


MANAGE = f"{SITE}/link/manage/WyJNQi03SzNRWEQiLDFd.aQdE2w.mT7cG0cN8o1vVbA4s3LkQfYx2Zk"
CHOOSE = f"{SITE}/link/choose/WyJNQi03SzNRWEQiLDFd.aQdE2w.p1XwHc5Lr8uJdTz0GkqSeBv7Nno"
VIEW = f"{SITE}/link/view/WyJNQi03SzNRWEQiLDFd.aQdE2w.Zb3KfR9tYw6MxCj1HsLeUo8Pq4A"
DASHBOARD = f"{SITE}/dashboard/sessions"
MEETING = "https://meet.example.com/asha-7f3k"
LINKS = AnswerLinks(
    view=VIEW,
    accept=f"{SITE}/link/accept/WyJNQi03SzNRWEQiLDFd.aQdE2w.J8sDk2LmQw0RtYb5VnXc7GhZe1U",
    decline=f"{SITE}/link/decline/WyJNQi03SzNRWEQiLDFd.aQdE2w.T4yUi9OpAs6DfGh2JkLz8XcVb0N",
)
OFFERS = tuple(
    Offer(
        therapist_name=name,
        starts_at=STARTS_AT,
        url=f"{CHOOSE}?with={name.lower()}",
        price_minor=price,
        currency="GBP",
    )
    for name, price in (("Bran", 5500), ("Chi", 7000))
)
DAY = (
    session(STARTS_AT - timedelta(hours=4), "Eli", "MB-2F8HWP"),
    session(STARTS_AT + timedelta(hours=2), "Eli", "MB-9TZC4M"),
)
IN_AN_HOUR = STARTS_AT - timedelta(hours=1)

SAMPLES: dict[str, Callable[[], Message]] = {
    "booking_requested": lambda: to_therapist.booking_requested(
        _to_asha(),
        session(),
        answer_by=ANSWER_BY,
        expires_at=EXPIRES_AT,
        payout_minor=5400,
        commission_percent=Decimal(10),
        sequence=0,
        links=LINKS,
        day=DAY,
    ),
    "booking_received": lambda: to_client.booking_received(
        _to_dee(),
        session(),
        answer_by=ANSWER_BY,
        expires_at=EXPIRES_AT,
        free_cancellation=A_DAY,
        manage_url=MANAGE,
    ),
    "booking_accepted": lambda: to_client.booking_accepted(
        _to_dee(),
        session(),
        meeting_url=MEETING,
        manage_url=MANAGE,
        sequence=1,
        free_cancellation=A_DAY,
    ),
    "session_confirmed": lambda: to_therapist.session_confirmed(
        _to_asha(), session(), view_url=VIEW, sequence=1, meeting_url=MEETING
    ),
    "booking_declined": lambda: to_client.booking_declined(
        _to_dee(),
        session(),
        refund_minor=6000,
        offers=OFFERS,
        choose_url=CHOOSE,
        manage_url=MANAGE,
    ),
    "enquiry_declined": lambda: to_therapist.enquiry_declined(
        _to_asha(), session(), sequence=1, view_url=VIEW
    ),
    "answer_reminder": lambda: to_therapist.answer_reminder(
        _to_asha(ASKED_AT + timedelta(hours=2)),
        session(),
        answer_by=ANSWER_BY,
        expires_at=EXPIRES_AT,
        links=LINKS,
    ),
    "answer_late": lambda: to_therapist.answer_late(
        _to_asha(ANSWER_BY),
        session(),
        answer_by=ANSWER_BY,
        expires_at=EXPIRES_AT,
        links=LINKS,
    ),
    "answer_late_client": lambda: to_client.answer_late_client(
        _to_dee(ANSWER_BY),
        session(),
        expires_at=EXPIRES_AT,
        choose_url=CHOOSE,
        manage_url=MANAGE,
    ),
    "answer_late_ops": lambda: to_ops.answer_late_ops(
        _to_ops(REFERENCE),
        session(),
        therapist_slug="asha",
        late_since=ANSWER_BY,
        expires_at=EXPIRES_AT,
    ),
    "booking_expired": lambda: to_client.booking_expired(
        _to_dee(EXPIRES_AT),
        session(),
        refund_minor=6000,
        offers=OFFERS,
        choose_url=CHOOSE,
        manage_url=MANAGE,
        because="unanswered",
    ),
    "enquiry_expired": lambda: to_therapist.enquiry_expired(
        _to_asha(EXPIRES_AT), session(), sequence=1, view_url=VIEW, because="unanswered"
    ),
    "booking_withdrawn": lambda: to_therapist.booking_withdrawn(
        _to_asha(), session(), sequence=1, view_url=VIEW
    ),
    "withdrawal_receipt": lambda: to_client.withdrawal_receipt(
        _to_dee(), session(), refund_minor=6000, manage_url=MANAGE
    ),
    "client_cancelled": lambda: to_therapist.client_cancelled(
        _to_asha(IN_AN_HOUR),
        session(),
        sequence=2,
        payout_minor=5400,
        commission_minor=600,
        free_cancellation=A_DAY,
        view_url=VIEW,
    ),
    "cancellation_receipt": lambda: to_client.cancellation_receipt(
        _to_dee(IN_AN_HOUR),
        session(),
        refund_minor=0,
        charge_minor=6000,
        is_late=True,
        free_cancellation=A_DAY,
        sequence=2,
        manage_url=MANAGE,
    ),
    "therapist_cancelled": lambda: to_client.therapist_cancelled(
        _to_dee(IN_AN_HOUR),
        session(),
        refund_minor=6000,
        offers=OFFERS,
        choose_url=CHOOSE,
        manage_url=MANAGE,
        sequence=2,
    ),
    "cancellation_recorded": lambda: to_therapist.cancellation_recorded(
        _to_asha(IN_AN_HOUR),
        session(),
        sequence=2,
        streak=2,
        warn_streak=3,
        flag_streak=4,
        deactivate_streak=5,
        view_url=VIEW,
    ),
    "session_reminder.client": lambda: to_client.session_reminder(
        _to_dee(IN_AN_HOUR), session(), meeting_url=MEETING, manage_url=MANAGE
    ),
    "session_reminder.therapist": lambda: to_therapist.session_reminder(
        _to_asha(STARTS_AT - A_DAY), session(), meeting_url=MEETING, view_url=VIEW
    ),
    "no_show_recorded": lambda: to_client.no_show_recorded(
        _to_dee(STARTS_AT + timedelta(hours=2)),
        session(),
        charge_minor=6000,
        support_email=SUPPORT,
        manage_url=MANAGE,
    ),
    "new_message.client": lambda: to_client.new_message(_to_dee(), session(), manage_url=MANAGE),
    "new_message.therapist": lambda: to_therapist.new_message(_to_asha(), session(), view_url=VIEW),
    "sign_in": lambda: to_therapist_account.sign_in(
        _to_asha(reference=None),
        sign_in_url=f"{SITE}/sign-in/WzFd.aQdE2w.Kk3",
        minutes=15,
    ),
    "your_links": lambda: to_client.your_links(
        _to_dee(reference=None),
        bookings=(
            (session(), MANAGE),
            (session(STARTS_AT + 7 * A_DAY, reference="MB-4VJ6RN"), f"{MANAGE}2"),
        ),
    ),
    "streak_warning": lambda: to_therapist_account.streak_warning(
        _to_asha(reference=None),
        streak=3,
        flag_streak=4,
        deactivate_streak=5,
        dashboard_url=DASHBOARD,
    ),
    "account_flagged": lambda: to_therapist_account.account_flagged(
        _to_asha(reference=None),
        streak=4,
        flag_streak=4,
        deactivate_streak=5,
        dashboard_url=DASHBOARD,
    ),
    "account_deactivated": lambda: to_therapist_account.account_deactivated(
        _to_asha(reference=None),
        streak=5,
        deactivate_streak=5,
        support_email=SUPPORT,
        dashboard_url=DASHBOARD,
        sessions=DAY,
    ),
    "account_reactivated": lambda: to_therapist_account.account_reactivated(
        _to_asha(reference=None),
        flag_streak=4,
        deactivate_streak=5,
        dashboard_url=DASHBOARD,
    ),
    "account_alert": lambda: to_ops.account_alert(
        _to_ops(), therapist_slug="asha", what="deactivated", streak=5, sessions=DAY
    ),
    "account_alert.unreachable": lambda: to_ops.account_alert(
        _to_ops(REFERENCE), therapist_slug="asha", what="unreachable", sessions=(session(),)
    ),
}

"""The same kind in another situation says what is true there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from emails import to_client, to_ops, to_therapist, to_therapist_account
from emails.message import Message, Offer, Session
from emails.samples import (
    A_DAY,
    ANSWER_BY,
    CHOOSE,
    DASHBOARD,
    EXPIRES_AT,
    LINKS,
    MANAGE,
    REFERENCE,
    STARTS_AT,
    SUPPORT,
    VIEW,
    envelope,
    session,
)

ASHA = envelope("asha@example.com", "Asha", "Europe/London")
DEE = envelope("dee@example.com", "Dee", "Europe/London")
OPS = envelope(SUPPORT, "Ops", "UTC", reference=None)
ASHA_HERSELF = replace(ASHA, reference=None)
PAID = replace(session(), client_zone="Europe/London")
FREE = replace(PAID, kind="free_consultation", price_minor=0)
LATER = Offer(
    therapist_name="Chi",
    starts_at=STARTS_AT + A_DAY,
    url=f"{CHOOSE}?with=chi",
    price_minor=0,
    currency="GBP",
)


def receipt(for_what: Session, *, is_late: bool) -> Message:
    paid = for_what.price_minor
    return to_client.cancellation_receipt(
        DEE,
        for_what,
        refund_minor=0 if is_late else paid,
        charge_minor=paid if is_late else 0,
        is_late=is_late,
        free_cancellation=A_DAY,
        sequence=2,
        manage_url=MANAGE,
    )


def ended(for_what: Session, because: to_client.Because, offers: list[Offer]) -> Message:
    return to_client.booking_expired(
        DEE,
        for_what,
        refund_minor=for_what.price_minor,
        offers=offers,
        choose_url=CHOOSE,
        manage_url=MANAGE,
        because=because,
    )


def cancelled_on_asha(for_what: Session, payout_minor: int, commission_minor: int) -> Message:
    return to_therapist.client_cancelled(
        ASHA,
        for_what,
        sequence=2,
        payout_minor=payout_minor,
        commission_minor=commission_minor,
        free_cancellation=A_DAY,
        view_url=VIEW,
    )


def recorded(streak: int, for_what: Session = PAID) -> Message:
    return to_therapist.cancellation_recorded(
        ASHA,
        for_what,
        sequence=2,
        streak=streak,
        warn_streak=3,
        flag_streak=4,
        deactivate_streak=5,
        view_url=VIEW,
    )


def reminded(left: timedelta) -> Message:
    at = replace(ASHA, sent_at=ANSWER_BY - left)
    return to_therapist.answer_reminder(
        at, PAID, answer_by=ANSWER_BY, expires_at=EXPIRES_AT, links=LINKS
    )


def received(for_what: Session) -> Message:
    return to_client.booking_received(
        DEE,
        for_what,
        answer_by=ANSWER_BY,
        expires_at=EXPIRES_AT,
        free_cancellation=A_DAY,
        manage_url=MANAGE,
    )


def alert(what: to_ops.What) -> Message:
    return to_ops.account_alert(OPS, therapist_slug="asha", what=what, streak=4, sessions=[])


SITUATIONS: list[tuple[Callable[[], Message], str]] = [
    (lambda: received(PAID), "At 24 hours or less, the whole fee of £60.00 is due."),
    (lambda: received(FREE), "Cancelling costs nothing. If you cancel more than 24 hours"),
    (lambda: receipt(PAID, is_late=True), "You are charged £60.00, because"),
    (lambda: receipt(PAID, is_late=False), "You are refunded in full: £60.00, because"),
    (lambda: receipt(FREE, is_late=True), "your free consultation with Asha is used up"),
    (lambda: receipt(FREE, is_late=False), "you can still have a free consultation"),
    (lambda: ended(PAID, "deactivated", []), "Asha is not taking sessions any more"),
    (lambda: ended(PAID, "unanswered", []), "You can choose someone else."),
    (lambda: ended(FREE, "unanswered", [LATER]), "The nearest open times"),
    (lambda: ended(FREE, "unanswered", [LATER]), "There was nothing to pay"),
    (lambda: cancelled_on_asha(PAID, 0, 0), "Dee is refunded in full and no fee is due"),
    (lambda: cancelled_on_asha(PAID, 5400, 600), "you receive £54.00"),
    (lambda: cancelled_on_asha(FREE, 0, 0), "It was free, so nobody pays anything"),
    (lambda: recorded(1), "1 session that you cancelled since your last completed one"),
    (lambda: recorded(4), "What comes next: at 5 your account is deactivated."),
    (lambda: recorded(5), "At 5 in a row an account is deactivated; our team can reactivate it."),
    (lambda: recorded(1, FREE), "Dee has been told and is offered other therapists"),
    (lambda: reminded(timedelta(minutes=65)), "1 hour 5 minutes left"),
    (lambda: reminded(timedelta(seconds=20)), "ess than a minute left"),
    (lambda: reminded(timedelta(hours=-1)), "due now"),
    (
        lambda: to_therapist.enquiry_expired(
            ASHA, PAID, sequence=1, view_url=VIEW, because="deactivated"
        ),
        "It ended because your account was deactivated",
    ),
    (
        lambda: to_client.no_show_recorded(
            DEE, FREE, charge_minor=0, support_email=SUPPORT, manage_url=MANAGE
        ),
        "There was nothing to pay; your free consultation with Asha is used up",
    ),
    (
        lambda: to_client.session_reminder(DEE, PAID, meeting_url=None, manage_url=MANAGE),
        "it will show in Manage Booking",
    ),
    (
        lambda: to_therapist.session_reminder(ASHA, PAID, meeting_url=None, view_url=VIEW),
        "add one in Profile Settings",
    ),
    (
        lambda: to_client.your_links(replace(DEE, reference=None), bookings=[]),
        "None of your bookings is still open",
    ),
    (
        lambda: to_therapist_account.account_deactivated(
            ASHA_HERSELF,
            streak=5,
            deactivate_streak=5,
            support_email=SUPPORT,
            dashboard_url=DASHBOARD,
            sessions=[],
        ),
        "You have no accepted sessions ahead",
    ),
    (lambda: alert("flagged"), "the ranking score is halved"),
    (lambda: alert("deactivated"), "mindsum therapist reactivate asha"),
    (lambda: alert("unreachable"), "Our emails to asha do not arrive"),
    (lambda: alert("unreachable"), "mindsum outbox retry"),
]


@pytest.mark.parametrize(("make", "words"), SITUATIONS, ids=range(len(SITUATIONS)))
def test_text_and_page_say_what_is_true_in_that_situation(
    make: Callable[[], Message], words: str
) -> None:
    message = make()
    assert words in message.text
    assert words in message.html
    assert message.to_bytes()


def test_a_flagged_therapist_is_not_offered_reactivation() -> None:
    assert "reactivate" not in alert("flagged").text + alert("flagged").html


def test_a_request_names_the_clients_time_only_where_it_differs() -> None:
    def request(for_what: Session) -> str:
        return to_therapist.booking_requested(
            ASHA,
            for_what,
            answer_by=ANSWER_BY,
            expires_at=EXPIRES_AT,
            payout_minor=5400,
            commission_percent=Decimal(10),
            sequence=0,
            links=LINKS,
            day=[],
        ).text

    assert "Dee’s time: the same as yours\n" in request(PAID)
    abroad = replace(PAID, client_zone="Pacific/Auckland")
    assert "Dee’s time: Wed 4 Nov 2026, 03:00 (Auckland, NZDT)\n" in request(abroad)
    assert "Your fee: none, it is free\n" in request(FREE)


def test_only_an_email_about_one_booking_names_it_in_its_headers() -> None:
    message = to_client.new_message(DEE, PAID, manage_url=MANAGE)
    assert message.headers["X-Mindsum-Booking"] == REFERENCE
    assert (
        "X-Mindsum-Booking"
        not in to_client.your_links(replace(DEE, reference=None), bookings=[(PAID, MANAGE)]).headers
    )

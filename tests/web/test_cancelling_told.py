"""Every page tells the cancelling rule of this booking at this moment, in the words of PAYMENT."""

from datetime import timedelta

import pytest
from flask import Flask

from app import config
from app.cli import run
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind
from app.services.jobs import due
from app.store.models import Booking
from app.web.links import tokens
from app.web.template_filters import rfc3339
from tests.harness.page_stories import sign_in
from tests.harness.pages import ASHA, filled, text
from tests.harness.smtp_server import MailServer
from tests.scenarios.story import Story, total
from tests.web.conftest import Visitor, another_visitor

COST = "cancelling costs £60.00"
PROMISED = ("refund", "charged")


def pay(payment: str) -> None:
    config.use(config.current().model_copy(update={"payment": payment}))


def in_twenty_hours(story: Story, kind: Kind = Kind.PAID) -> Booking:
    story.at(story.now.replace(hour=13))
    return story.ask(starts_at=story.now + timedelta(hours=20), kind=kind)


def shown(
    story: Story, visitor: Visitor, purpose: LinkPurpose, booking: Booking, after: str = ""
) -> str:
    with story.app.test_request_context():
        path = tokens.path(purpose, booking)
    return text(visitor.get(path + after))


def test_manage_booking_of_a_session_in_twenty_hours_promises_no_refund(
    story: Story, visitor: Visitor
) -> None:
    booking = in_twenty_hours(story)
    asked = shown(story, visitor, LinkPurpose.MANAGE, booking)
    assert f"once accepted, {COST}" in asked
    assert "You can withdraw until Asha has answered: nothing is charged." in asked
    story.accept(booking)
    for after in ("", "/cancel"):
        accepted = shown(story, visitor, LinkPurpose.MANAGE, booking, after)
        assert "cancelling now costs £60.00" in accepted
        assert not [word for word in PROMISED if word in accepted]


def test_a_late_cancellation_does_not_say_that_others_cannot_have_a_time_that_they_can(
    story: Story, visitor: Visitor
) -> None:
    booking = in_twenty_hours(story)
    story.accept(booking)
    assert "offer the time" not in shown(story, visitor, LinkPurpose.MANAGE, booking)
    story.cancel(booking, Actor.CLIENT)
    opening = f'value="{rfc3339(booking.starts_at)}"'
    assert opening in visitor.get("/therapists/asha?timezone=UTC").text
    assert "offer the time" not in shown(story, visitor, LinkPurpose.MANAGE, booking)


def test_a_session_further_ahead_is_free_to_cancel_until_a_named_moment(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    story.accept(booking)
    page = shown(story, visitor, LinkPurpose.MANAGE, booking)
    assert "Cancel before Tue 3 Nov 2026, 05:00, 24 hours before" in page
    assert "nothing is charged" in page
    assert "£60.00 is due" in page


def test_the_accept_page_tells_the_therapist_the_same_rule(story: Story, visitor: Visitor) -> None:
    far, soon = story.ask(), in_twenty_hours(story)
    page = shown(story, visitor, LinkPurpose.ACCEPT, far)
    assert "Dee can cancel before Tue 3 Nov 2026, 10:00, 24 hours" in page
    page = shown(story, visitor, LinkPurpose.ACCEPT, soon)
    assert "within 24 hours: if Dee cancels, £60.00 is due" in page


def test_choose_someone_else_tells_the_rule_of_each_offer(story: Story, visitor: Visitor) -> None:
    booking = in_twenty_hours(story)
    page = shown(story, visitor, LinkPurpose.CHOOSE, booking)
    assert "once accepted, cancelling costs £" in page
    assert "we withdraw it for you: nothing is charged." in page


@pytest.mark.parametrize(
    ("payment", "button"),
    [("later", "Cancel and pay £60.00"), ("at_booking", "Cancel: £60.00 is kept")],
)
def test_the_button_that_cancels_late_asks_nobody_to_pay_twice(
    story: Story, visitor: Visitor, payment: str, button: str
) -> None:
    pay(payment)
    booking = in_twenty_hours(story)
    story.accept(booking)
    assert button in shown(story, visitor, LinkPurpose.MANAGE, booking, "/cancel")


@pytest.mark.parametrize("payment", ["later", "at_booking"])
def test_the_request_form_says_which_times_are_too_near_to_cancel_free(
    story: Story, visitor: Visitor, payment: str
) -> None:
    pay(payment)
    near = text(visitor.get(ASHA))
    assert "These are Asha’s times, London, GMT." in near
    assert "Times up to Tue 3 Nov 2026, 09:00 start" in near
    assert f"once accepted, {COST}" in near
    far = text(visitor.get(f"{ASHA}?from=2026-11-10"))
    assert COST not in far
    consultation = near.partition("For a free consultation:")[2].partition("Ask Asha")[0]
    assert "used up" in consultation
    assert "£" not in consultation
    later = payment == "later"
    for page in (near, far):
        assert ("nothing is charged" in page, "£60.00 is due" in page) == (later, later)
        assert ("£60.00 is refunded" in page, "£60.00 is kept" in page) == (not later, not later)


@pytest.mark.parametrize(
    ("payment", "not_taken"),
    [("later", "nothing is charged"), ("at_booking", "£60.00 is refunded")],
)
def test_after_a_request_the_page_says_what_no_answer_costs(
    story: Story, visitor: Visitor, payment: str, not_taken: str
) -> None:
    pay(payment)
    answer = visitor.post(ASHA, data=filled(visitor))
    assert not_taken in text(visitor.get(answer.headers["Location"]))


@pytest.mark.parametrize(
    ("payment", "old_fee", "new_fee"),
    [
        ("later", "for you: nothing is charged.", "You won’t be charged if"),
        ("at_booking", "for you: £60.00 is refunded.", "You are refunded in full if"),
    ],
)
def test_asking_someone_else_says_what_becomes_of_both_fees(
    story: Story, visitor: Visitor, payment: str, old_fee: str, new_fee: str
) -> None:
    pay(payment)
    booking = story.ask()
    choose = shown(story, visitor, LinkPurpose.CHOOSE, booking)
    for page in (shown(story, visitor, LinkPurpose.MANAGE, booking), choose):
        assert old_fee in page
    assert new_fee in choose


def test_asking_someone_else_for_a_free_consultation_has_no_word_of_money(
    story: Story, visitor: Visitor
) -> None:
    pay("at_booking")
    page = shown(story, visitor, LinkPurpose.CHOOSE, story.ask(kind=Kind.FREE_CONSULTATION))
    assert "You can withdraw it until there is an answer." in page
    assert "refund" not in page


ENDS = {
    "declined": (lambda story, booking: story.decline(booking), False),
    "withdrawn": (lambda story, booking: story.withdraw(booking), False),
    "expired": (lambda story, booking: story.wait(hours=25), False),
    "cancelled in time": (lambda story, booking: accept_and_cancel(story, booking), False),
    "cancelled late": (lambda story, booking: accept_and_cancel(story, booking, 30), True),
    "completed": (lambda story, booking: accept_and_complete(story, booking), True),
}


def accept_and_cancel(story: Story, booking: Booking, after_h: float = 0) -> None:
    story.accept(booking)
    story.wait(hours=after_h)
    story.cancel(booking, Actor.CLIENT)


def accept_and_complete(story: Story, booking: Booking) -> None:
    story.accept(booking)
    story.at(booking.completes_at)
    assert total(due.complete_sessions(story.now)).done == 1


@pytest.mark.parametrize("payment", ["later", "at_booking"])
@pytest.mark.parametrize("end", ENDS)
def test_both_sides_read_what_became_of_the_fee_in_the_words_of_payment(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor, end: str, payment: str
) -> None:
    pay(payment)
    booking = story.ask()
    make, is_owed = ENDS[end]
    make(story, booking)
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    pages = (
        shown(story, visitor, LinkPurpose.MANAGE, booking),
        text(asha.get(f"/dashboard/sessions/{booking.reference}")),
    )
    is_later = payment == "later"
    expected = {
        (True, True): "£60.00 is due",
        (True, False): "£60.00 is kept",
        (False, True): "Nothing is charged",
        (False, False): "£60.00 is refunded",
    }
    for page in pages:
        for situation, words in expected.items():
            assert (words in page) is (situation == (is_owed, is_later)), words
    assert ("£54.00" in pages[1]) is is_owed


@pytest.mark.parametrize("end", ENDS)
def test_a_free_consultation_ends_without_a_word_of_money(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor, end: str
) -> None:
    booking = story.ask(kind=Kind.FREE_CONSULTATION)
    make, is_used = ENDS[end]
    make(story, booking)
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    for page in (
        shown(story, visitor, LinkPurpose.MANAGE, booking),
        text(asha.get(f"/dashboard/sessions/{booking.reference}")),
    ):
        assert ("used up" in page) is is_used
        assert ("another time" in page) is not is_used
        for word in ("£", "charged", "refund", "kept", "to pay"):
            assert word not in page


@pytest.mark.parametrize(
    ("wait_h", "answers", "status"),
    [
        (1, True, "accepted"),
        (4, True, "accepted (answered late)"),
        (4, False, "requested (not answered in time)"),
        (25, False, "expired (not answered in time)"),
    ],
)
def test_the_command_line_calls_late_only_what_was_answered(
    app: Flask,
    story: Story,
    capsys: pytest.CaptureFixture[str],
    wait_h: float,
    answers: bool,
    status: str,
) -> None:
    booking = story.ask()
    story.wait(hours=wait_h)
    if answers:
        story.accept(booking)
    assert run(["booking", "show", booking.reference], lambda: app) == 0
    printed = capsys.readouterr().out
    assert status in [line.removeprefix("status").strip() for line in printed.splitlines()]


def test_the_command_line_tells_the_rule_while_it_matters(
    app: Flask, story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = in_twenty_hours(story)
    story.accept(booking)
    assert run(["booking", "show", booking.reference], lambda: app) == 0
    assert "if the client cancels, £60.00 is due" in capsys.readouterr().out
    story.at(booking.starts_at)
    assert run(["booking", "show", booking.reference], lambda: app) == 0
    assert "cancels" not in capsys.readouterr().out

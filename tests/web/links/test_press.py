"""The guard of the pages of links: who is asked what is meant, and who is not."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import clock, config
from app.rules.lifecycle import Actor, Kind, Status
from app.services.bookings import confirm
from app.store.models import AccessEntry, Booking, OutboxEmail, SignIn, Writing
from tests.harness.page_stories import (
    Form,
    all_rows,
    ask,
    forms,
    link,
    now_of,
    press,
    sign_in,
    wanted,
)
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor

ASKED = "What would you like to do?"


@pytest.fixture(autouse=True)
def guarded(app: Flask) -> Iterator[None]:
    """The site as it is unless PRESS_GUARD says otherwise."""
    before = config.current()
    config.use(before.model_copy(update={"press_guard": True}))
    yield
    config.use(before)


def opened(visitor: Visitor, path: str) -> Form:
    """The first form of that page."""
    return forms(visitor.get(path))[0]


def send(visitor: Visitor, path: str, form: Form, **chosen: str) -> TestResponse:
    return visitor.post(form.action or path, data={**form.fields, **chosen})


def offered(page: TestResponse) -> list[str]:
    return re.findall(r'name="choice" value="([^"]*)"', page.text)


def test_an_email_that_has_settled_needs_one_press(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    story.wait(minutes=2)
    form = opened(visitor, path)
    story.wait(seconds=1.5)
    assert ASKED not in send(visitor, path, form).text
    assert now_of(booking).status is Status.ACCEPTED


@pytest.mark.parametrize("name", ["Accept", "Decline"])
@pytest.mark.parametrize("choice", ["accept", "decline", "not_now"])
def test_a_press_at_the_emails_arrival_is_asked_about_and_the_choice_counts(
    app: Flask,
    mail: MailServer,
    cast: Cast,
    visitor: Visitor,
    story: Story,
    name: str,
    choice: str,
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", name)
    form = opened(visitor, path)
    story.wait(seconds=20)
    before = all_rows()
    typed = {"reason": "I am away."} if name == "Decline" else {}
    question = send(visitor, path, form, **typed)
    assert question.status_code == 200 and ASKED in question.text
    assert "checked" not in question.text
    assert sorted(offered(question)) == ["accept", "decline", "not_now"]
    assert all_rows() == before

    story.wait(seconds=2)
    [asked] = forms(question)
    assert asked.fields.get("reason") == typed.get("reason")
    done = send(visitor, path, asked, choice=choice)
    status = {"accept": Status.ACCEPTED, "decline": Status.DECLINED}.get(choice, Status.REQUESTED)
    assert now_of(booking).status is status
    assert done.status_code == (303 if choice == "not_now" and not typed else 200)
    if typed and choice == "not_now":
        assert forms(done)[0].fields["reason"].strip() == "I am away."
    # A reason to decline is none to accept.
    assert ("This was not sent" in done.text) == (typed != {} and choice == "accept")
    assert Writing.select().where(Writing.purpose == "reason").count() == (
        typed != {} and choice == "decline"
    )
    if choice != "not_now":
        # The same choice again changes nothing and shows the same.
        assert send(visitor, path, asked, choice=choice).status_code == 200


def test_a_question_without_a_choice_or_answered_too_quickly_is_asked_again(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    form = opened(visitor, path)
    [asked] = forms(send(visitor, path, form))
    assert ASKED in send(visitor, path, asked, choice="accept").text
    # Without a choice it is no answer, however late it comes.
    story.wait(hours=1)
    assert ASKED in send(visitor, path, asked).text
    assert ASKED in send(visitor, path, asked, choice="everything").text
    assert now_of(booking).status is Status.REQUESTED


def test_a_choice_counts_only_from_the_page_that_asks(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    form = opened(visitor, path)
    story.wait(seconds=30)
    for mark in (form.fields["shown"], "", "x" * 500, form.fields["shown"][:-1]):
        assert ASKED in visitor.post(path, data={"shown": mark, "choice": "accept"}).text
    assert now_of(booking).status is Status.REQUESTED


def test_a_mark_is_good_for_its_own_booking_alone(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    ask(starts_at=story.now + timedelta(days=2), email="eli@clients.example", name="Eli Park")
    path = link(app, mail, "booking_requested", "Accept")
    [other] = forms(send(visitor, path, opened(visitor, path)))
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    story.wait(hours=1)
    page = visitor.post(path, data={**other.fields, "choice": "accept"})
    assert ASKED in page.text and now_of(booking).status is Status.REQUESTED


def test_two_links_opened_together_are_a_program_until_somebody_chooses(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    accept = link(app, mail, "booking_requested", "Accept")
    decline = link(app, mail, "booking_requested", "Decline")
    story.wait(minutes=5)
    for path in (accept, decline):
        visitor.get(path)
    story.wait(hours=1)
    person = another_visitor(app)
    form = opened(person, accept)
    story.wait(seconds=5)
    question = send(person, accept, form)
    assert ASKED in question.text and now_of(booking).status is Status.REQUESTED
    story.wait(seconds=5)
    send(person, accept, forms(question)[0], choice="accept")
    assert now_of(booking).status is Status.ACCEPTED


def test_a_link_without_its_emails_number_is_as_old_as_its_token(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    OutboxEmail.delete().execute()
    form = opened(visitor, path)
    story.wait(minutes=2)
    assert ASKED not in send(visitor, path, form).text
    assert now_of(booking).status is Status.ACCEPTED


def test_the_signed_in_therapist_is_not_asked(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    sign_in(app, mail, visitor, "asha@therapists.example")
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    assert ASKED not in press(visitor, path).text
    assert now_of(booking).status is Status.ACCEPTED


def test_the_browser_that_asked_for_the_sign_in_is_not_asked_and_another_is(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    visitor.post("/sign-in", data={"email": "asha@therapists.example"})
    path = link(app, mail, "sign_in", "Sign In")
    stranger = another_visitor(app)
    question = press(stranger, path)
    assert ASKED in question.text and offered(question) == ["sign_in", "not_now"]
    assert not SignIn.select().where(SignIn.used_at.is_null(False)).exists()
    assert press(visitor, path, follow=False).status_code == 303


def test_the_browser_that_typed_the_request_confirms_it_with_one_press(
    app: Flask, mail: MailServer, cast: Cast, story: Story
) -> None:
    def typed(email: str, at: datetime) -> str:
        confirm.take_request(wanted(email=email, starts_at=at), now=clock.now())
        return link(app, mail, "confirm_request", "Confirm Request")

    start = story.now + timedelta(days=3)
    path = typed("dee@clients.example", start)
    other = another_visitor(app)
    question = press(other, path)
    assert ASKED in question.text and offered(question) == ["confirm", "not_now"]
    assert not Booking.select().exists()
    own = another_visitor(app)
    own.post("/my-links", data={"email": "dee@clients.example"})
    assert ASKED not in press(own, path).text
    assert Booking.select().count() == 1


def _withdraw(path: str) -> str:
    return f"{path}/cancel"


@pytest.mark.parametrize(
    ("kind", "name", "path_of", "values"),
    [
        ("booking_received", "Manage Booking", _withdraw, ["withdraw", "not_now"]),
        ("booking_accepted", "Manage Booking", _withdraw, ["cancel", "not_now"]),
        ("booking_accepted", "Manage Booking", str, ["show", "not_now"]),
    ],
)
def test_manage_booking_asks_before_it_cancels_or_shows_what_was_written(
    app: Flask,
    mail: MailServer,
    cast: Cast,
    visitor: Visitor,
    story: Story,
    kind: str,
    name: str,
    path_of: Callable[[str], str],
    values: list[str],
) -> None:
    booking = ask()
    if kind == "booking_accepted":
        story.accept(booking)
    path = path_of(link(app, mail, kind, name))
    before = all_rows()
    question = press(visitor, path)
    assert ASKED in question.text and offered(question) == values
    assert "I sleep badly" not in question.text
    assert all_rows() == before
    story.wait(seconds=5)
    done = send(visitor, path, forms(question)[0], choice=values[0])
    assert done.status_code == 200
    assert ("I sleep badly" in done.text) is (values[0] == "show")
    assert (now_of(booking).status in (Status.REQUESTED, Status.ACCEPTED)) is (values[0] == "show")


def test_choosing_someone_else_names_whom_when_it_asks(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    story.decline(booking)
    path = link(app, mail, "booking_declined", "Manage Booking")
    choose = re.search(r'href="(/link/choose/[^"]+)"', visitor.get(path).text)
    assert choose is not None
    form = opened(visitor, choose[1])
    story.wait(seconds=10)
    question = send(visitor, choose[1], form)
    assert ASKED in question.text and "Ask Bran for Tue 3 Nov 2026" in question.text
    assert Booking.select().count() == 1
    story.wait(seconds=5)
    chosen = offered(question)[0]
    assert send(visitor, choose[1], forms(question)[0], choice=chosen).status_code == 200
    assert Booking.select().count() == 2


def test_a_page_reached_from_an_old_email_is_not_asked_about(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    """Its links are new, but the email that led there is not."""
    booking = ask()
    path = link(app, mail, "booking_received", "Manage Booking")
    story.wait(hours=1)
    leave = re.search(r'href="(/link/manage/[^"]+/cancel)"', visitor.get(path).text)
    assert leave is not None
    form = opened(visitor, leave[1])
    story.wait(seconds=2)
    assert ASKED not in send(visitor, leave[1], form).text
    assert now_of(booking).status is Status.WITHDRAWN


def test_a_double_click_back_and_a_slow_line_show_the_same_and_act_once(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    form = opened(visitor, path)
    question = forms(send(visitor, path, form))[0]
    story.wait(seconds=5)
    for _ in range(2):
        assert send(visitor, path, question, choice="accept").status_code == 200
    # Back to the first page, and its button again.
    assert ASKED not in send(visitor, path, form).text
    assert story.timeline(booking) == [
        ("requested", "client", "page"),
        ("accepted", "therapist", "link"),
    ]


def test_what_a_browser_prefetches_was_not_opened(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    paths = [link(app, mail, "booking_requested", name) for name in ("Accept", "Decline")]
    story.wait(hours=1)
    before = all_rows()
    for path in paths:
        assert visitor.get(path, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 200
    assert all_rows() == before and not AccessEntry.select().exists()
    form = opened(visitor, paths[0])
    story.wait(seconds=5)
    assert ASKED not in send(visitor, paths[0], form).text
    assert now_of(booking).status is Status.ACCEPTED


def test_a_program_that_presses_on_after_a_question_is_asked_until_it_stops(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    accept, decline = (link(app, mail, "booking_requested", name) for name in ("Accept", "Decline"))
    form = opened(visitor, accept)
    for _ in range(5):
        story.wait(seconds=50)
        assert ASKED in send(visitor, accept, form).text
    assert ASKED in send(visitor, decline, opened(visitor, decline)).text
    assert now_of(booking).status is Status.REQUESTED
    story.wait(minutes=1)
    assert ASKED not in send(visitor, accept, form).text
    assert now_of(booking).status is Status.ACCEPTED


def test_after_a_choice_the_next_button_of_that_email_is_not_asked_about(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    path = link(app, mail, "booking_received", "Manage Booking")
    form = opened(visitor, path)
    story.wait(seconds=110)
    question = send(visitor, path, form)
    story.wait(seconds=5)
    assert "I sleep badly" in send(visitor, path, forms(question)[0], choice="show").text
    form = opened(visitor, f"{path}/cancel")
    story.wait(seconds=5)
    assert ASKED not in send(visitor, f"{path}/cancel", form).text
    assert now_of(booking).status is Status.WITHDRAWN


def test_of_two_tabs_the_second_is_shown_what_the_first_did(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    tabs = [link(app, mail, "booking_requested", name) for name in ("Accept", "Decline")]
    pages = [send(visitor, path, opened(visitor, path)) for path in tabs]
    story.wait(seconds=5)
    answers = [
        send(visitor, path, forms(page)[0], choice=choice)
        for path, page, choice in zip(tabs, pages, ("accept", "decline"), strict=True)
    ]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert now_of(booking).status is Status.ACCEPTED


def test_what_is_over_is_shown_and_not_asked_about(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask(kind=Kind.PAID)
    accept = link(app, mail, "booking_requested", "Accept")
    manage = link(app, mail, "booking_received", "Manage Booking")
    form = opened(visitor, accept)
    story.cancel(booking, Actor.CLIENT)
    assert send(visitor, accept, form).status_code == 409
    assert ASKED not in visitor.post(f"{manage}/cancel").text


GUARDED = {
    "another_time.suggest",
    "another_time.take",
    "another_time.keep",
    "another_time.agree",
    "another_time.refuse",
    "client_move.move",
    "client_move.take_back",
    "links.accept",
    "links.decline",
    "links.sign_in",
    "confirm.confirm_request",
    "client.ask_again",
    "client.read_words",
    "client.cancel",
    "choose.choose",
}
# Sends what was typed, and nothing where nothing was.
TYPED = {"client.send_message"}


def test_every_form_of_a_links_page_is_guarded_or_needs_words(app: Flask) -> None:
    posts = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/link/") and "POST" in (rule.methods or ())
    }
    assert posts == GUARDED | TYPED

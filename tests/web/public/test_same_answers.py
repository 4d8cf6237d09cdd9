"""A form that takes an address answers with the same words and the same work for every address."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import config
from app.rules.lifecycle import Kind
from app.services import auth
from app.services.mail.answer_email_requests import BATCH, answer_due
from app.services.therapists import accounts
from app.store import email_requests
from app.store.models import EmailRequest, EmailRequestKind, OutboxEmail, Suppression
from tests.harness.page_stories import link, press
from tests.harness.pages import ASHA, filled
from tests.scenarios.story import Story, at_once
from tests.web.conftest import Visitor, another_visitor, counted_queries

CHECK_EMAIL = f"{ASHA}/requested"
CLIENT, UNREACHED, THERAPIST, UNKNOWN = (
    "client@people.example", "unread@people.example", "expert@people.example",
    "person@people.example",
)  # fmt: skip


@pytest.fixture(autouse=True)
def people(app: Flask, story: Story) -> Iterator[None]:
    """A client, one that emails do not reach, a therapist; requests are confirmed by email."""
    for number, address in enumerate((CLIENT, UNREACHED)):
        at = story.now.replace(hour=12 + 2 * number) + timedelta(days=2)
        client = ("Dee Stone", address, "UTC")
        story.ask(client=client, kind=Kind.FREE_CONSULTATION, starts_at=at)
    until = story.now + timedelta(days=7)
    Suppression.create(address_key=UNREACHED, reason="550", at=story.now, until=until)
    accounts.change_address("bran", THERAPIST, story.now)
    before = config.current()
    config.use(before.model_copy(update={"confirm_address": "new"}))
    yield
    config.use(before)


def ask_to_sign_in(visitor: Visitor, address: str) -> Any:
    return visitor.post("/sign-in", data={"email": address})


def ask_for_links(visitor: Visitor, address: str) -> Any:
    return visitor.post("/my-links", data={"email": address})


def type_request(visitor: Visitor, address: str) -> Any:
    return visitor.post(ASHA, data=filled(visitor, email=address), follow_redirects=True)


def correct_address(visitor: Visitor, address: str) -> Any:
    return press(visitor, CHECK_EMAIL, email=address)


def answer(
    act: Callable[[Visitor, str], Any], visitor: Visitor, address: str
) -> tuple[str, Any, list[str]]:
    """The page, its headers and the statements that it took, without what is random."""
    with counted_queries() as seen:
        response = act(visitor, address)
    page = re.sub(r'name="(csrf_token|form_key)"[^>]*>', "", response.text)
    headers = [(name, value) for name, value in response.headers if name != "Set-Cookie"]
    return page.replace(address, "ADDRESS"), (response.status_code, headers), seen


@pytest.mark.parametrize("act", [ask_to_sign_in, ask_for_links, type_request, correct_address])
def test_words_and_work_are_the_same_for_every_address(
    act: Callable[[Visitor, str], Any], story: Story
) -> None:
    answers = []
    # The first request of a network also makes the row that counts them.
    type_request(another_visitor(story.app), "dee@clients.example")
    for address in (CLIENT, UNREACHED, THERAPIST, UNKNOWN):
        story.wait(minutes=30)
        story.sweep()
        visitor = another_visitor(story.app)
        if act is correct_address:
            type_request(visitor, "dee@clients.example")
        answers.append(answer(act, visitor, address))
    for each in answers:
        assert each == answers[0]


def test_correcting_the_address_looks_the_same_once_the_link_was_pressed(story: Story) -> None:
    answers = []
    for is_pressed in (False, True):
        visitor = another_visitor(story.app)
        type_request(visitor, "dee@clients.example")
        path = link(story.app, story.mail, "confirm_request", "Confirm Request")
        if is_pressed:
            assert another_visitor(story.app).post(path).status_code == 200
        first = answer(correct_address, visitor, UNKNOWN)
        story.deliver()
        answers.append((first, answer(lambda each, _: each.get(CHECK_EMAIL), visitor, UNKNOWN)))
        story.wait(minutes=30)
    assert answers[0] == answers[1]


def test_a_form_stores_only_that_an_email_was_asked_for_and_the_address_encrypted(
    story: Story, visitor: Visitor
) -> None:
    with counted_queries() as seen:
        ask_to_sign_in(visitor, THERAPIST)
    written = [each for each in seen if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(written) == 1 and 'INTO "asked_email"' in written[0]
    row = EmailRequest.select().dicts().get()
    assert THERAPIST not in str(row["address"].encode())
    assert ("sign_in", THERAPIST) in story.deliver()
    assert not EmailRequest.select().exists()


@pytest.mark.both_databases
def test_several_schedulers_answer_what_was_asked_once(story: Story) -> None:
    for number in range(5):
        email_requests.add(
            EmailRequestKind.SIGN_IN,
            THERAPIST,
            "hash",
            about=str(number),
            network="",
            now=story.now,
        )
    at_once([lambda: answer_due(story.now)] * 4)
    assert not EmailRequest.select().exists()
    assert OutboxEmail.select().where(OutboxEmail.kind == "sign_in").count() == 1


def test_one_that_cannot_be_answered_keeps_no_other_waiting(
    story: Story, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = auth.request_sign_in

    def fails_for_nobody(address: str, *more: Any) -> None:
        if address == UNKNOWN:
            raise ValueError(address)
        real(address, *more)

    monkeypatch.setattr(auth, "request_sign_in", fails_for_nobody)
    for address in (UNKNOWN, THERAPIST):
        ask_to_sign_in(visitor, address)
    assert ("sign_in", THERAPIST) in story.deliver()
    assert not EmailRequest.select().exists()


def test_what_was_asked_long_ago_is_answered_no_more(story: Story, visitor: Visitor) -> None:
    story.deliver()
    ask_to_sign_in(visitor, THERAPIST)
    story.wait(minutes=15)
    assert story.deliver() == []
    assert not EmailRequest.select().exists()


def test_a_flood_of_questions_lets_emails_leave_in_between(story: Story) -> None:
    for _ in range(BATCH + 1):
        email_requests.add(
            EmailRequestKind.SIGN_IN, UNKNOWN, "hash", about="", network="", now=story.now
        )
    assert story.deliver()
    assert EmailRequest.select().count() == 1


@pytest.mark.both_databases
def test_a_therapist_gets_one_sign_in_a_minute_and_six_an_hour_and_one_whenever_none_is_out(
    story: Story,
) -> None:
    story.deliver()
    minutes = []
    for minute in range(60):
        for _ in range(3):
            auth.request_sign_in(THERAPIST, f"/dashboard/{minute}", story.now)
        minutes += [minute] * len(story.deliver())
        story.wait(minutes=1)
    # Six, then one each time that no link is left.
    assert minutes == [0, 1, 2, 3, 4, 5, 19, 33, 47]
    path = link(story.app, story.mail, "sign_in", "Sign In")
    visitor = another_visitor(story.app)
    assert press(visitor, path, follow=False).location == "/dashboard/47"

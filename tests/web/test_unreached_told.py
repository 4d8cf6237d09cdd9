"""What pages say while our emails do not reach one side of a booking."""

from datetime import timedelta

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.store.models import Therapist
from app.web.links import tokens
from tests.harness.page_stories import sign_in
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.web.conftest import Visitor

ASHA = "asha@therapists.example"


def refuse(story: Story, app: Flask, address: str) -> None:
    with FaultyServer({f"rcpt {address}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())


@pytest.mark.parametrize("purpose", [LinkPurpose.ACCEPT, LinkPurpose.DECLINE])
def test_a_therapists_link_pages_promise_nothing_to_a_client_who_is_not_reached(
    app: Flask, story: Story, visitor: Visitor, purpose: LinkPurpose
) -> None:
    booking = story.ask()
    refuse(story, app, DEE[1])
    with app.test_request_context():
        path = tokens.path(purpose, booking)
    for page in (visitor.get(path), visitor.post(path)):
        assert page.status_code == 200
        assert "do not reach Dee" in page.text
        assert "letting" not in page.text


def test_who_finds_an_unreached_therapist_by_direct_link_is_told_before_and_after_asking(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    story.ask()
    assert "do not reach Asha" not in visitor.get("/therapists/asha").text
    refuse(story, app, ASHA)
    assert "do not reach Asha" in visitor.get("/therapists/asha").text
    later = story.ask(client=ELI, starts_at=story.now + timedelta(days=4))
    with visitor.session_transaction() as browser:
        browser["asked"] = later.reference
    page = visitor.get("/therapists/asha/requested").text
    assert later.reference in page
    assert "do not reach Asha" in page
    assert "chase" not in page


@pytest.mark.parametrize("path", ["", "/profile", "/ranking", "/sessions", "/earnings"])
def test_a_therapist_who_is_not_reached_reads_so_on_every_page_and_why_they_are_not_listed(
    app: Flask, story: Story, visitor: Visitor, path: str
) -> None:
    sign_in(app, story.mail, visitor, ASHA)
    assert "to you do not arrive" not in visitor.get(f"/dashboard{path}").text
    story.ask()
    refuse(story, app, ASHA)
    page = visitor.get(f"/dashboard{path}").text
    assert "to you do not arrive" in page
    assert "reach you by email" not in page
    assert "You are listed" not in page
    assert "because </p>" not in page


@pytest.mark.parametrize("meeting_url", ["https://meet.example/asha", ""])
def test_accepting_promises_a_place_to_meet_only_where_there_is_one(
    app: Flask, story: Story, visitor: Visitor, meeting_url: str
) -> None:
    Therapist.update(meeting_url=meeting_url).where(Therapist.slug == "asha").execute()
    booking = story.ask()
    with app.test_request_context():
        page = visitor.get(tokens.path(LinkPurpose.ACCEPT, booking)).text
    assert ("with where to meet" in page) is bool(meeting_url)


def test_no_calendar_event_is_on_its_way_to_a_therapist_who_is_not_reached(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    refuse(story, app, ASHA)
    with app.test_request_context():
        page = visitor.post(tokens.path(LinkPurpose.ACCEPT, booking)).text
    assert "Accepted" in page
    assert "on its way" not in page


def test_asking_to_move_promises_no_answer_of_a_therapist_who_is_not_reached(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking) + "/move"
    assert "then has 3 hours" in visitor.get(path).text
    refuse(story, app, ASHA)
    for _status in ("requested", "accepted"):
        page = visitor.get(path).text
        assert "do not reach Asha" in page
        assert "3 hours" not in page
        story.accept(booking)


def test_manage_booking_says_who_is_not_reached(app: Flask, story: Story, visitor: Visitor) -> None:
    booking = story.ask()
    refuse(story, app, ASHA)
    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking)
    page = visitor.get(path).text
    assert "do not reach Asha" in page
    assert "An email to Asha did not arrive" in page
    assert "chasing" not in page
    story.accept(booking)
    assert "our emails bring" in visitor.get(path).text
    refuse(story, app, DEE[1])
    page = visitor.get(path).text
    assert "Our emails to you do not arrive" in page
    assert "our emails bring" not in page

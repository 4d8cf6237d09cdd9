"""What pages say while our emails do not reach one side of a booking."""

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.web.links import tokens
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, Story, sender_to, total
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


def test_manage_booking_says_who_is_not_reached(app: Flask, story: Story, visitor: Visitor) -> None:
    booking = story.ask()
    refuse(story, app, ASHA)
    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking)
    page = visitor.get(path).text
    assert "do not reach Asha" in page
    assert "An email to Asha did not arrive" in page
    assert "chasing" not in page
    story.withdraw(booking)
    refuse(story, app, DEE[1])
    assert "Our emails to you do not arrive" in visitor.get(path).text

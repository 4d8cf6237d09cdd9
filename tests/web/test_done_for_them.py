"""What our team did for one side is not told to that side as their own doing."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Move, Via
from app.services.ops import bookings as ops
from app.store.models import Booking
from app.web.links import tokens
from tests.harness.page_stories import sign_in
from tests.harness.pages import text
from tests.scenarios.story import DEE, Story
from tests.web.conftest import another_visitor

ASHA = "asha@therapists.example"
BOTH_DOORS = pytest.mark.parametrize("via", [Via.CLI, Via.OPS])


def newest_email(story: Story, kind: str, to: str) -> str:
    sent = [each for each in story.sent() if (each.kind, each.rcpt_tos[0]) == (kind, to)]
    body = sent[-1].parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def pages(story: Story, booking: Booking) -> tuple[str, str]:
    """Manage Booking, and the session's page in the dashboard."""
    client, therapist = another_visitor(story.app), another_visitor(story.app)
    sign_in(story.app, story.mail, therapist, ASHA)
    with story.app.test_request_context():
        manage = tokens.path(LinkPurpose.MANAGE, story.reload(booking))
    session = therapist.get(f"/dashboard/sessions/{booking.reference}")
    return text(client.get(manage)), text(session)


@BOTH_DOORS
def test_a_request_withdrawn_for_its_client(story: Story, via: Via) -> None:
    booking = story.ask()
    story.deliver()
    ops.cancel_for(Actor.CLIENT, booking.reference, via=via, now=story.now)
    email = newest_email(story, "withdrawal_receipt", DEE[1])
    assert "Our team withdrew this request for you" in email
    page, _ = pages(story, booking)
    assert "We withdrew the request for you." in page
    assert "You withdrew" not in page + email


@BOTH_DOORS
@pytest.mark.parametrize("who", [Actor.CLIENT, Actor.THERAPIST])
def test_a_session_cancelled_for_one_side(story: Story, via: Via, who: Actor) -> None:
    booking = story.ask()
    story.accept(booking)
    story.deliver()
    ops.cancel_for(who, booking.reference, via=via, now=story.now)
    is_client = who is Actor.CLIENT
    kind, to = ("cancellation_receipt", DEE[1]) if is_client else ("cancellation_recorded", ASHA)
    email = newest_email(story, kind, to)
    assert "Our team cancelled this session for you." in email
    own, others = pages(story, booking)[:: 1 if is_client else -1]
    assert "We cancelled the session for you." in own
    assert "You cancelled" not in own + email
    assert f"{'Dee' if is_client else 'Asha'} cancelled the session." in others


@BOTH_DOORS
def test_a_request_moved_for_its_client(story: Story, via: Via) -> None:
    booking = story.ask()
    story.deliver()
    to = booking.starts_at + timedelta(days=1)
    ops.move_for(Actor.CLIENT, booking.reference, to, via=via, now=story.now)
    assert "Our team moved it for you." in newest_email(story, "booking_received", DEE[1])
    page, _ = pages(story, booking)
    assert f"We moved it to {to.astimezone(ZoneInfo(DEE[2])):%a}" in page
    assert "You moved" not in page


@BOTH_DOORS
def test_a_time_taken_for_its_client(story: Story, via: Via) -> None:
    booking = story.ask()
    story.accept(booking)
    to = booking.starts_at + timedelta(days=1)
    story.propose(booking, to)
    story.deliver()
    ops.move_for(Actor.CLIENT, booking.reference, to, via=via, now=story.now)
    email = newest_email(story, "booking_accepted", DEE[1])
    assert "Our team moved it for you." in email
    assert "You took" not in email


def test_a_reason_that_our_team_gave_is_ours(story: Story) -> None:
    booking, reason = story.ask(), "Asha is ill."
    ops.answer(booking.reference, Move.DECLINE, via=Via.CLI, now=story.now, reason=reason)
    page, session = pages(story, booking)
    assert "What we wrote" in page
    assert "Our reason to Dee" in session
    assert "Your reason" not in session


def test_what_they_did_themselves_stays_theirs(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    story.deliver()
    story.cancel(booking, Actor.CLIENT)
    assert "You cancelled this session." in newest_email(story, "cancellation_receipt", DEE[1])
    assert "You cancelled the session." in pages(story, booking)[0]

"""Pages promise the reminders that will come, and no others."""

from datetime import timedelta

import pytest

from app.links import LinkPurpose
from app.web.links import tokens
from tests.harness.pages import text
from tests.scenarios.story import Story
from tests.web.conftest import Visitor


@pytest.mark.parametrize(
    ("now_h", "hours_ahead", "promised"),
    [
        (9, 49, "26 hours and 1 hour before it starts"),
        (9, 28, "1 hour before it starts"),
        (13, 20, "1 hour before it starts"),
        (9, 4, "1 hour before it starts"),
    ],
)
def test_the_accept_page_the_page_after_it_and_manage_booking_promise_what_will_come(
    story: Story, visitor: Visitor, now_h: int, hours_ahead: int, promised: str
) -> None:
    story.at(story.now.replace(hour=now_h))
    booking = story.ask(starts_at=story.now + timedelta(hours=hours_ahead))
    with story.app.test_request_context():
        accept = tokens.path(LinkPurpose.ACCEPT, booking)
        manage = tokens.path(LinkPurpose.MANAGE, booking)
    pages = [visitor.get(accept), visitor.post(accept), visitor.get(manage)]
    for page in pages:
        assert f"remind you both {promised}" in text(page) or f"remind you {promised}" in text(page)
    stored = story.reload(booking)
    assert (stored.day_reminder_due_at is not None) is ("26 hours" in promised)


def test_a_session_accepted_shortly_before_it_starts_is_promised_no_reminder(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=5))
    story.wait(hours=2, minutes=30)
    with story.app.test_request_context():
        accept = tokens.path(LinkPurpose.ACCEPT, booking)
        manage = tokens.path(LinkPurpose.MANAGE, booking)
    for page in (visitor.get(accept), visitor.post(accept), visitor.get(manage)):
        assert page.status_code == 200
        assert "remind you" not in text(page)

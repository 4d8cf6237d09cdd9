"""Pages promise the reminders that will come, and no others."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.links import LinkPurpose
from app.rules.lifecycle import Actor
from app.store.models import Complaint, OutboxEmail, Role, Suppression, email_key
from app.web.links import tokens
from tests.harness.pages import text
from tests.scenarios.story import DEE, Story
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


ADDRESSES = {Role.THERAPIST: "asha@therapists.example", Role.CLIENT: DEE[1]}


def complain(story: Story, role: Role) -> None:
    Complaint.create(address_key=email_key(ADDRESSES[role]), at=story.now)


def lose(story: Story, role: Role) -> None:
    Suppression.create(
        address_key=email_key(ADDRESSES[role]), reason="no such mailbox", at=story.now, doubts=0
    )


@pytest.mark.parametrize("stop", [complain, lose])
@pytest.mark.parametrize(
    ("left_out", "promise"),
    [
        ((), "We remind you both 26 hours"),
        ((Role.CLIENT,), "We remind you 26 hours"),
        ((Role.THERAPIST,), "We remind Dee 26 hours"),
        ((Role.CLIENT, Role.THERAPIST), None),
    ],
)
def test_only_who_will_be_reminded_is_promised_a_reminder(
    story: Story,
    visitor: Visitor,
    stop: Callable[[Story, Role], None],
    left_out: tuple[Role, ...],
    promise: str | None,
) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    for role in left_out:
        stop(story, role)
    with story.app.test_request_context():
        accept = tokens.path(LinkPurpose.ACCEPT, booking)
        manage = tokens.path(LinkPurpose.MANAGE, booking)
    for page in (visitor.get(accept), visitor.post(accept)):
        assert page.status_code == 200
        assert (promise or "Accept") in text(page)
        assert ("We remind" in text(page)) is (promise is not None)
    assert ("We remind you" in text(visitor.get(manage))) is (Role.CLIENT not in left_out)


def test_who_complained_gets_no_reminder_of_a_request_to_move_and_nobody_says_so(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=73))
    story.accept(booking)
    story.propose(booking, story.now + timedelta(hours=97), by=Actor.CLIENT)
    story.deliver()
    complain(story, Role.THERAPIST)
    story.wait(hours=2)
    story.sweep()
    assert story.deliver() == []
    reminder = OutboxEmail.select().order_by(OutboxEmail.id.desc()).first()
    assert (reminder.kind, reminder.last_error) == (
        "time_proposed", "its recipient called our emails spam",
    )  # fmt: skip
    with story.app.test_request_context():
        manage = tokens.path(LinkPurpose.MANAGE, booking)
    page = text(visitor.get(manage))
    assert "The answer was not there yet." in page
    assert "We reminded" not in page


def test_a_reminder_of_a_request_to_move_is_told_as_one(story: Story, visitor: Visitor) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=73))
    story.accept(booking)
    story.propose(booking, story.now + timedelta(hours=97), by=Actor.CLIENT)
    story.deliver()
    story.wait(hours=2)
    story.sweep()
    assert story.deliver() == [("time_proposed", ADDRESSES[Role.THERAPIST])]
    with story.app.test_request_context():
        manage = tokens.path(LinkPurpose.MANAGE, booking)
    assert "We reminded Asha to answer." in text(visitor.get(manage))

"""Answers by invitation, link and word, and the expiry, at once: one wins, all is told."""

from datetime import datetime, timedelta

import pytest

from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import transitions
from app.services.inbound.handle import process_inbound
from app.services.inbound.receive import receive
from app.services.jobs import due
from app.store import queries
from app.store.models import Booking, InboundMessage, TimelineEntry
from emails.calendar import event_uid
from tests.harness.soak import runs
from tests.scenarios.invitation_answers import Answer, google
from tests.scenarios.mailbox import written
from tests.scenarios.story import Story, at_once, total
from tests.services.inbound.conftest import Post

pytestmark = pytest.mark.both_databases

ROUNDS = runs(5, 200)
ENDS = ("accepted", "declined", "expired")
# What each door may say, by how the booking stands at the end.
TRUTH = {
    Status.ACCEPTED: ({"accepted", "silent"}, {"explained_cancels"}),
    Status.DECLINED: ({"explained_older"}, {"declined", "silent"}),
    Status.EXPIRED: ({"explained_older"}, {"silent"}),
}


def test_of_four_answers_at_once_one_wins_and_no_door_says_otherwise(
    post: Post, story: Story
) -> None:
    for round_ in range(ROUNDS):
        starts_at = (story.now + timedelta(days=3)).replace(hour=10, minute=0)
        booking = story.ask(starts_at=starts_at, client=("Dee", f"dee{round_}@x.example", "UTC"))
        story.deliver()
        # A moment before the end, so that the expiry takes part.
        last = story.at(booking.expires_at - timedelta(seconds=1))
        to = post.organizer(booking)
        yes = google(Answer(to=to, uid=event_uid(booking.reference), message_id=f"<y{round_}@x>"))
        request_id = next(
            str(each.parsed["Message-ID"])
            for each in reversed(story.mail.messages)
            if each.parsed["X-Mindsum-Booking"] == booking.reference
            and each.parsed["X-Mindsum-Email"] == "booking_requested"
        )
        no = written(to, "No", in_reply_to=request_id, message_id=f"<n{round_}@x>")
        for raw in (yes, no):
            receive(to, raw, is_from_server=False, now=last)
        outcomes = race(booking, last)
        assert not [each for each in outcomes if isinstance(each, Exception)], outcomes
        total(process_inbound(last))
        check(booking.reference)
        story.at(booking.expires_at + timedelta(hours=2))


def race(booking: Booking, last: datetime) -> list[object]:
    return at_once(
        [
            lambda: total(process_inbound(last)),
            lambda: total(process_inbound(last)),
            lambda: transitions.make_move(
                booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=last
            ),
            lambda: total(due.expire_enquiries(booking.expires_at)),
        ]
    )


def check(reference: str) -> None:
    booking = queries.booking_by_reference(reference)
    ends = TimelineEntry.select().where(
        TimelineEntry.booking == booking, TimelineEntry.event.in_(ENDS)
    )
    assert [each.event for each in ends] == [str(booking.status)]
    by_invitation, by_word = (
        InboundMessage.select().where(InboundMessage.booking == booking).order_by(InboundMessage.id)
    )
    allowed_yes, allowed_no = TRUTH[booking.status]
    # One email an hour explains both.
    assert by_invitation.outcome in allowed_yes | {"explained_before"}, booking.status
    assert by_word.outcome in allowed_no | {"explained_before"}, booking.status

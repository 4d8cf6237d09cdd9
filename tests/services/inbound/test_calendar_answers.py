"""Yes and No to calendar entries: what they do, and what they must not do."""

import pytest

from app import config
from app.config import Settings
from app.rules.lifecycle import Actor, Status
from app.services.inbound.receive import Taken, receive
from app.store import queries
from app.store.models import Booking, InboundMessage, Purpose, Role
from emails.calendar import event_uid
from tests.scenarios.invitation_answers import NOT_PLAIN, PROGRAMS, Answer, exchange, forwarded
from tests.scenarios.story import ELI, Story
from tests.services.inbound.conftest import ASHA, Post

pytestmark = pytest.mark.both_databases


@pytest.fixture
def asked(story: Story) -> Booking:
    """An enquiry whose email arrived two minutes ago."""
    booking = story.ask()
    story.deliver()
    story.wait(minutes=2)
    return booking


def status(story: Story, booking: Booking) -> Status:
    return story.reload(booking).status


def told(story: Story) -> list[tuple[str, str]]:
    return [(kind, to.partition("@")[0]) for kind, to in story.deliver()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_yes_of_every_program_accepts_once_and_the_timeline_says_by_mail(
    post: Post, story: Story, asked: Booking, program: str
) -> None:
    to = post.organizer(asked)
    raw = PROGRAMS[program](Answer(to=to, uid=event_uid(asked.reference)))
    assert post.hear(raw, to) == "accepted"
    assert story.timeline(asked)[-1] == ("accepted", "therapist", "mail")
    assert told(story) == [("booking_accepted", "dee"), ("session_confirmed", "asha")]
    # The same message again, and the same answer in another message.
    assert receive(to, raw, is_from_server=False, now=story.now) is Taken.REPEATED
    again = raw.replace(b"answer-1", b"answer-2")
    assert post.hear(again, to) == "repeated"
    assert told(story) == []


def test_no_declines_and_what_was_written_beside_it_is_the_reason(
    post: Post, story: Story, asked: Booking
) -> None:
    assert post.answer(asked, "DECLINED", comment="I am with another client") == "declined"
    assert status(story, asked) is Status.DECLINED
    reasons = queries.writings_of(story.reload(asked), Purpose.REASON)
    assert [each.body for each in reasons] == ["I am with another client"]


@pytest.mark.parametrize(
    ("partstat", "fields", "outcome"),
    [
        ("TENTATIVE", {}, "explained_maybe"),
        ("DELEGATED", {}, "explained_delegated"),
        ("NEEDS-ACTION", {}, "silent"),
        ("ACCEPTED", {"method": "COUNTER"}, "explained_other_time"),
        ("ACCEPTED", {"method": "REQUEST"}, "automatic"),
        ("ACCEPTED", {"attendee": "colleague@example.org"}, "explained_other_person"),
        ("ACCEPTED", {"sequence": 7}, "explained_older"),
        ("DECLINED", {"comment": "Declined because I am out of office"}, "explained_out_of_office"),
        ("ACCEPTED", {"uid": "MB-7K3QXD@mindsum-bookings"}, "unknown_booking"),
        ("ACCEPTED", {"uid": "another-programs-own"}, "unknown_booking"),
    ],
)
def test_what_is_no_plain_answer_changes_nothing(  # type: ignore[no-untyped-def]
    post: Post, story: Story, asked: Booking, partstat, fields, outcome
) -> None:
    assert post.answer(asked, partstat, **fields) == outcome
    assert status(story, asked) is Status.REQUESTED
    expected = [("answer_not_taken", "asha")] if outcome.startswith("explained") else []
    assert told(story) == expected


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_an_answer_that_is_not_plain_changes_nothing_and_is_explained(
    post: Post, story: Story, asked: Booking, name: str
) -> None:
    to = post.organizer(asked)
    raw = NOT_PLAIN[name](Answer(to=to, uid=event_uid(asked.reference)))
    assert post.hear(raw, to) == "explained_unclear"
    assert status(story, asked) is Status.REQUESTED
    assert told(story) == [("answer_not_taken", "asha")]


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL", "REFRESH"])
def test_another_method_that_a_person_sends_is_explained(
    post: Post, story: Story, asked: Booking, method: str
) -> None:
    to = post.organizer(asked)
    raw = exchange(Answer(to=to, uid=event_uid(asked.reference), method=method))
    assert post.hear(raw, to) == "explained_unclear"
    assert status(story, asked) is Status.REQUESTED


def test_a_counter_is_answered_with_suggest_another_time(
    post: Post, story: Story, asked: Booking
) -> None:
    assert post.answer(asked, "ACCEPTED", method="COUNTER") == "explained_other_time"
    text = story.sent()[0].parsed.get_body(("plain",))
    assert text is not None
    assert "Suggest another time:\nhttp" in text.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("odd", [{"sequence": 7}, {"stamp": "20991231T000000Z"}])
def test_a_wrong_clock_or_number_does_not_outdo_the_answers_to_come(
    post: Post, story: Story, asked: Booking, odd: dict[str, object]
) -> None:
    post.answer(asked, "TENTATIVE", **odd)
    story.wait(minutes=1)
    assert post.answer(asked, "ACCEPTED") == "accepted"


def test_an_answer_within_a_minute_of_the_email_asks_and_later_ones_act(
    post: Post, story: Story
) -> None:
    booking = story.ask()
    story.deliver()
    story.wait(seconds=59)
    assert post.answer(booking, "ACCEPTED") == "explained_too_quick"
    assert status(story, booking) is Status.REQUESTED
    story.wait(seconds=1)
    assert post.answer(booking, "ACCEPTED") == "accepted"


def test_who_knows_one_address_cannot_answer_for_another_therapist(
    post: Post, story: Story, asked: Booking
) -> None:
    others = story.ask("bran", client=ELI, starts_at=asked.starts_at.replace(hour=15))
    uid = event_uid(others.reference)
    assert post.answer(asked, "ACCEPTED", uid=uid) == "unknown_booking"
    # The client's address does not answer for the therapist either.
    assert post.answer(asked, "ACCEPTED", Role.CLIENT) == "silent"
    assert {status(story, each) for each in (asked, others)} == {Status.REQUESTED}
    assert told(story) == [("booking_requested", "bran"), ("booking_received", "eli")]


def test_no_to_an_accepted_session_never_cancels_it(
    post: Post, story: Story, asked: Booking
) -> None:
    story.accept(asked)
    story.deliver()
    story.wait(hours=1)
    for sequence in (0, 1):
        story.wait(hours=1)
        assert post.answer(asked, "DECLINED", sequence=sequence) == "explained_cancels"
    assert post.answer(asked, "DECLINED", Role.CLIENT) == "explained_cancels"
    assert status(story, asked) is Status.ACCEPTED
    assert sorted(told(story)) == [("answer_not_taken", "asha")] * 2 + [("answer_not_taken", "dee")]


def test_a_yes_that_agrees_is_silent_and_one_to_what_has_ended_is_told(
    post: Post, story: Story, asked: Booking
) -> None:
    story.accept(asked)
    story.deliver()
    story.wait(hours=1)
    assert post.answer(asked, "ACCEPTED", sequence=0) == "silent"
    assert post.answer(asked, "ACCEPTED", Role.CLIENT) == "silent"
    story.cancel(story.reload(asked), by=Actor.CLIENT)
    story.deliver()
    story.wait(hours=1)
    assert post.answer(asked, "ACCEPTED", sequence=1) == "explained_older"
    assert told(story) == [("answer_not_taken", "asha")]


def test_an_older_answer_that_arrives_later_is_superseded(
    post: Post, story: Story, asked: Booking
) -> None:
    story.wait(hours=1)
    assert post.answer(asked, "TENTATIVE", stamp="20261102T092000Z") == "explained_maybe"
    late = {"stamp": "20261102T091000Z", "message_id": "<late@google.com>"}
    assert post.answer(asked, "ACCEPTED", **late) == "silent"
    assert status(story, asked) is Status.REQUESTED
    newest = {"stamp": "20261102T093000Z", "message_id": "<newest@google.com>"}
    assert post.answer(asked, "ACCEPTED", **newest) == "accepted"


def test_at_most_one_email_an_hour_explains(post: Post, story: Story, asked: Booking) -> None:
    outcomes = []
    for _ in range(4):
        outcomes.append(post.answer(asked, "TENTATIVE"))
        story.wait(minutes=30)
    assert outcomes == ["explained_maybe", "explained_before"] * 2


def test_a_second_cause_within_the_hour_is_explained_too(post: Post, asked: Booking) -> None:
    assert post.answer(asked, "TENTATIVE", stamp="20261102T090000Z") == "explained_maybe"
    away = {"stamp": "20261102T090100Z", "comment": "Declined because I am out of office"}
    assert post.answer(asked, "DECLINED", **away) == "explained_out_of_office"


def test_an_expiry_that_is_due_is_made_first_and_told(
    post: Post, story: Story, asked: Booking
) -> None:
    story.wait(hours=25)
    assert post.answer(asked, "ACCEPTED") == "explained_older"
    assert status(story, asked) is Status.EXPIRED


def test_a_forwarded_answer_is_no_answer(post: Post, story: Story, asked: Booking) -> None:
    to = post.organizer(asked)
    raw = forwarded(Answer(to=to, uid=event_uid(asked.reference)))
    assert post.hear(raw, to) == "unplaced"
    assert status(story, asked) is Status.REQUESTED


def test_what_a_message_says_is_not_kept_once_it_is_handled(
    post: Post, story: Story, asked: Booking
) -> None:
    post.answer(asked, "ACCEPTED")
    assert [each.content for each in InboundMessage.select()] == [None]


@pytest.mark.parametrize(
    ("results", "sender", "outcome"),
    [
        ("mx.in.example; dkim=pass header.d=therapists.example", ASHA, "accepted"),
        ("mx.in.example; dkim=pass header.d=evil.example", ASHA, "explained_unproven"),
        ("mx.elsewhere.example; dkim=pass header.d=therapists.example", ASHA, "explained_unproven"),
        ("", ASHA, "explained_unproven"),
    ],
)
def test_with_required_authentication_only_a_proven_sender_acts(  # type: ignore[no-untyped-def]
    post: Post, story: Story, asked: Booking, settings: Settings, results, sender, outcome
) -> None:
    changes = {"inbound_require_auth": True, "inbound_authserv": "mx.in.example"}
    config.use(settings.model_copy(update=changes))
    to = post.organizer(asked)
    raw = PROGRAMS["google"](Answer(to=to, uid=event_uid(asked.reference), sender=sender))
    field = f"Authentication-Results: {results}\r\n".encode() if results else b""
    assert post.hear(field + raw, to) == outcome

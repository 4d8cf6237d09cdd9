"""Answers from the mailbox while another time is proposed, and after it was taken."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import TimeMoveRefused
from app.rules.lifecycle import Actor, Status
from app.services.inbound.handle import process_inbound
from app.services.inbound.receive import Taken, receive
from app.store import queries
from app.store.models import Booking, Purpose, Role
from tests.scenarios.story import DEE, Story, total
from tests.services.inbound.conftest import ASHA, Post

pytestmark = pytest.mark.both_databases

WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
THURSDAY_10 = WEDNESDAY_10 + timedelta(days=1)


@pytest.fixture
def suggested(story: Story) -> Booking:
    """An enquiry for which Asha suggested Thursday, two minutes ago; both emails have arrived."""
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.wait(minutes=2)
    story.propose(booking, THURSDAY_10)
    story.deliver()
    story.wait(minutes=2)
    return booking


def is_open(story: Story, booking: Booking) -> bool:
    now = story.reload(booking)
    return now.status is Status.REQUESTED and now.open_proposal is not None


def read_by(story: Story, address: str, kind: str) -> str:
    """The text of the newest email of a kind to that address."""
    story.deliver()
    sent = [
        each
        for each in story.mail.messages
        if each.rcpt_tos == (address,) and each.parsed["X-Mindsum-Email"] == kind
    ]
    text = sent[-1].parsed.get_body(("plain",))
    assert text is not None
    return str(text.get_content())


def test_a_therapists_yes_takes_the_old_time_and_ends_the_suggestion_as_the_link_does(
    post: Post, story: Story, suggested: Booking
) -> None:
    assert post.answer(suggested, "ACCEPTED") == "accepted"
    accepted = story.reload(suggested)
    assert (accepted.status, accepted.starts_at) == (Status.ACCEPTED, WEDNESDAY_10)
    assert accepted.open_proposal is None
    with pytest.raises(TimeMoveRefused):
        story.take(suggested, THURSDAY_10)


def test_a_therapists_words_do_the_same(post: Post, story: Story, suggested: Booking) -> None:
    assert post.reply("booking_requested", "No, I am away") == "declined"
    declined = story.reload(suggested)
    assert (declined.status, declined.open_proposal) == (Status.DECLINED, None)


@pytest.mark.parametrize("partstat", ["ACCEPTED", "DECLINED"])
def test_an_answer_from_before_the_suggestion_changes_nothing_and_is_explained(
    post: Post, story: Story, suggested: Booking, partstat: str
) -> None:
    before = story.now - timedelta(minutes=3)
    stamp = f"{before:%Y%m%dT%H%M%SZ}"
    assert post.answer(suggested, partstat, stamp=stamp) == "explained_older"
    assert is_open(story, suggested)
    told = read_by(story, ASHA, "answer_not_taken")
    assert "something has happened since. You suggested other times" in told


def test_words_that_came_before_the_suggestion_change_nothing(
    post: Post, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.wait(minutes=2)
    heard = list[tuple[str, bytes]]()

    def note(raw: bytes, to: str, **_: object) -> str:
        heard.append((to, raw))
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(post, "hear", note)
        post.reply("booking_requested", "Yes")
    ((to, raw),) = heard
    # It waits in the door until the suggestion is made.
    assert receive(to, raw, is_from_server=False, now=story.now) is Taken.STORED
    story.wait(minutes=1)
    story.propose(booking, THURSDAY_10)
    total(process_inbound(story.now))
    assert is_open(story, booking)
    assert "something has happened since" in read_by(story, ASHA, "answer_not_taken")


def test_a_yes_to_an_old_time_that_has_passed_is_explained(
    post: Post, story: Story, suggested: Booking
) -> None:
    Booking.update(starts_at=story.now).where(Booking.id == suggested.id).execute()
    assert post.answer(suggested, "ACCEPTED") == "explained_older"
    assert is_open(story, suggested)


def test_nothing_that_the_client_sends_answers_the_suggestion(
    post: Post, story: Story, suggested: Booking
) -> None:
    assert post.answer(suggested, "ACCEPTED", Role.CLIENT) == "silent"
    story.wait(minutes=1)
    assert post.answer(suggested, "DECLINED", Role.CLIENT) == "explained_cancels"
    assert post.reply("time_proposed", "Yes, Thursday", Role.CLIENT) == "message"
    written = queries.writings_of(story.reload(suggested), Purpose.MESSAGE)
    assert [(each.author, each.body) for each in written] == [(Actor.CLIENT, "Yes, Thursday")]
    assert is_open(story, suggested)


def test_answers_of_older_emails_change_nothing_after_a_move_and_show_the_new_time(
    post: Post, story: Story, suggested: Booking
) -> None:
    story.take(suggested, THURSDAY_10)
    story.deliver()
    story.wait(minutes=2)
    before = story.timeline(suggested)
    answers: list[Callable[[], str]] = [
        lambda: post.answer(suggested, "ACCEPTED", sequence=0),
        lambda: post.reply("booking_requested", "Yes"),
    ]
    for answer in answers:
        story.wait(hours=1)
        assert answer() == "explained_older"
        assert "Thu 5 Nov 2026" in read_by(story, ASHA, "answer_not_taken")
    story.wait(hours=1)
    assert post.answer(suggested, "DECLINED", sequence=0) == "explained_cancels"
    # A Yes to the entry of the new time agrees with it.
    assert post.answer(suggested, "ACCEPTED") == "silent"
    assert story.timeline(suggested) == before


def test_a_clients_yes_to_the_entry_of_an_old_time_shows_the_new_one(
    post: Post, story: Story
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.accept(booking)
    story.propose(booking, THURSDAY_10)
    story.take(booking, THURSDAY_10)
    story.deliver()
    story.wait(minutes=2)
    assert post.answer(booking, "ACCEPTED", Role.CLIENT, sequence=1) == "explained_older"
    assert "Thu 5 Nov 2026" in read_by(story, DEE[1], "answer_not_taken")


@pytest.mark.parametrize("by", [Actor.CLIENT, Actor.THERAPIST])
def test_a_bare_yes_to_other_times_is_passed_on_and_its_sender_told_that_it_takes_none(
    post: Post, story: Story, by: Actor
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.accept(booking)
    story.propose(booking, THURSDAY_10, by=by)
    story.deliver()
    role, address = (Role.THERAPIST, ASHA) if by is Actor.CLIENT else (Role.CLIENT, DEE[1])
    assert post.reply("time_proposed", "Yes", role) == "message"
    assert "a reply chooses no time" in read_by(story, address, "answer_not_taken")
    assert story.reload(booking).starts_at == WEDNESDAY_10


def test_a_yes_to_an_enquiry_that_its_client_has_moved_since_shows_the_new_time(
    post: Post, story: Story
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.wait(minutes=2)
    story.propose(booking, THURSDAY_10, by=Actor.CLIENT)
    story.deliver()
    story.wait(minutes=2)
    assert post.answer(booking, "ACCEPTED", sequence=0) == "explained_older"
    assert post.reply("booking_requested", "Yes") == "explained_before"
    assert story.reload(booking).status is Status.REQUESTED
    assert "Thu 5 Nov 2026" in read_by(story, ASHA, "answer_not_taken")
    story.wait(minutes=1)
    assert post.answer(booking, "ACCEPTED") == "accepted"
    assert story.reload(booking).starts_at == THURSDAY_10


def test_the_clients_calendar_hears_of_the_new_time(
    post: Post, story: Story, suggested: Booking
) -> None:
    story.take(suggested, THURSDAY_10)
    assert "Thu 5 Nov 2026" in read_by(story, DEE[1], "booking_accepted")

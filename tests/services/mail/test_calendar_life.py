"""A booking's life in the calendars of both people: one entry, at its time, after every email."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from app import config
from app.config import Settings
from app.rules.lifecycle import Actor, Move, Via
from app.services.bookings import transitions
from app.services.therapists import profile
from app.store.models import Booking
from tests.scenarios.calendar_programs import PROGRAMS, CalendarProgram, Invitation, invitations
from tests.scenarios.story import Story

WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
THURSDAY_10 = datetime(2026, 11, 5, 10, tzinfo=UTC)
FRIDAY_13 = datetime(2026, 11, 6, 13, tzinfo=UTC)
LENGTH = timedelta(minutes=50)
DEE, ASHA = "dee@clients.example", "asha@therapists.example"
# Start, status and place of the one entry, or no entry.
Shown = tuple[datetime, str, str] | None


@pytest.fixture(params=[None, "in.example"], ids=["without_door", "with_door"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update={"inbound_domain": request.param})


@dataclass
class Lives:
    """A story, and each program's calendar of either person."""

    story: Story
    calendars: list[CalendarProgram]

    def show(self, *, client: Shown = None, therapist: Shown = None) -> None:
        """Deliver what was sent, each email twice as a mail server may, and look."""
        self.story.wait(minutes=1)
        for email in self.story.sent():
            for calendar in self.calendars:
                if calendar.owner in email.rcpt_tos:
                    calendar.receive(email.parsed)
                    calendar.receive(email.parsed)
        for calendar in self.calendars:
            expected = client if calendar.owner == DEE else therapist
            entries = [(each.starts_at, each.status, each.location) for each in calendar.shown]
            assert entries == [expected] * (expected is not None), calendar
            assert all(each.ends_at - each.starts_at == LENGTH for each in calendar.shown)

    def show_both(self, shown: Shown) -> None:
        self.show(client=shown, therapist=shown)

    def asked(self) -> Booking:
        booking = self.story.ask(starts_at=WEDNESDAY_10)
        self.show(therapist=tentative(WEDNESDAY_10))
        return booking

    def accepted(self) -> Booking:
        booking = self.asked()
        self.story.accept(booking)
        self.show_both(confirmed(WEDNESDAY_10))
        return booking


MEETING_URL = "https://meet.example/asha"


def tentative(starts_at: datetime) -> Shown:
    return starts_at, "TENTATIVE", ""


def confirmed(starts_at: datetime, url: str = MEETING_URL) -> Shown:
    return starts_at, "CONFIRMED", url


@pytest.fixture
def lives(story: Story) -> Lives:
    calendars = [
        CalendarProgram(rules, owner) for rules in PROGRAMS.values() for owner in (DEE, ASHA)
    ]
    return Lives(story, calendars)


ENDS: dict[str, Callable[[Story, Booking], object]] = {
    "declined": lambda story, booking: story.decline(booking),
    "withdrawn": lambda story, booking: story.withdraw(booking),
    "expired": lambda story, _booking: (story.wait(days=1), story.sweep()),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_request_that_ends_leaves_the_therapists_calendar(lives: Lives, end: str) -> None:
    booking = lives.asked()
    ENDS[end](lives.story, booking)
    lives.show()


@pytest.mark.parametrize("by", [Actor.CLIENT, Actor.THERAPIST])
def test_a_cancelled_session_leaves_both_calendars(lives: Lives, by: Actor) -> None:
    booking = lives.accepted()
    lives.story.cancel(lives.story.reload(booking), by)
    lives.show()


def test_a_request_that_its_client_moves_stays_one_entry(lives: Lives) -> None:
    booking = lives.asked()
    for starts_at in (THURSDAY_10, FRIDAY_13):
        lives.story.propose(booking, starts_at, by=Actor.CLIENT)
        lives.show(therapist=tentative(starts_at))
    lives.story.accept(booking)
    lives.show_both(confirmed(FRIDAY_13))


def test_a_suggested_time_shows_once_it_is_taken(lives: Lives) -> None:
    booking = lives.asked()
    lives.story.propose(booking, THURSDAY_10, FRIDAY_13)
    lives.show(therapist=tentative(WEDNESDAY_10))
    lives.story.take(booking, FRIDAY_13)
    lives.show_both(confirmed(FRIDAY_13))
    lives.story.cancel(lives.story.reload(booking), Actor.CLIENT)
    lives.show()


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_suggestion_that_is_not_taken_leaves_the_old_entry_or_none(
    lives: Lives, is_kept: bool
) -> None:
    booking = lives.asked()
    lives.story.propose(booking, THURSDAY_10)
    if is_kept:
        lives.story.keep(booking)
        lives.show(therapist=tentative(WEDNESDAY_10))
        lives.story.accept(booking)
        lives.show_both(confirmed(WEDNESDAY_10))
    else:
        lives.story.wait(days=1)
        lives.story.sweep()
        lives.show()


@pytest.mark.parametrize(
    ("by", "other"), [(Actor.CLIENT, Actor.THERAPIST), (Actor.THERAPIST, Actor.CLIENT)]
)
def test_a_session_that_either_side_moves_stays_one_entry(
    lives: Lives, by: Actor, other: Actor
) -> None:
    booking = lives.accepted()
    lives.story.propose(booking, THURSDAY_10, by=by)
    lives.show_both(confirmed(WEDNESDAY_10))
    lives.story.take(booking, THURSDAY_10, by=other)
    lives.show_both(confirmed(THURSDAY_10))
    # And back again, as the client asks.
    lives.story.propose(booking, WEDNESDAY_10, by=Actor.CLIENT)
    lives.story.take(booking, WEDNESDAY_10, by=Actor.THERAPIST)
    lives.show_both(confirmed(WEDNESDAY_10))


@pytest.mark.parametrize("by", [Actor.CLIENT, Actor.THERAPIST])
def test_a_move_that_is_refused_or_unanswered_leaves_the_entry(lives: Lives, by: Actor) -> None:
    booking = lives.accepted()
    lives.story.propose(booking, THURSDAY_10, by=by)
    lives.story.keep(booking, by=Actor.THERAPIST)
    lives.show_both(confirmed(WEDNESDAY_10))
    lives.story.propose(booking, FRIDAY_13, by=Actor.CLIENT)
    lives.story.wait(hours=3)
    lives.story.sweep()
    lives.show_both(confirmed(WEDNESDAY_10))


def test_cancelling_in_answer_to_a_move_empties_both_calendars(lives: Lives) -> None:
    booking = lives.accepted()
    lives.story.propose(booking, THURSDAY_10)
    lives.show_both(confirmed(WEDNESDAY_10))
    answer = lives.story.reload(booking)
    done = transitions.make_move(
        answer, Move.CANCEL_IN_ANSWER, by=Actor.CLIENT, via=Via.LINK, now=lives.story.now
    )
    assert done.is_done
    lives.show()


def test_a_new_meeting_link_reaches_the_entry_at_its_present_time(lives: Lives) -> None:
    booking, story = lives.accepted(), lives.story
    for room in ("one", "two"):
        url = f"https://meet.example/{room}"
        profile.update("asha", {"meeting_url": url}, story.now)
        lives.show_both(confirmed(WEDNESDAY_10, url))
    story.propose(booking, THURSDAY_10, by=Actor.CLIENT)
    story.take(booking, THURSDAY_10, by=Actor.THERAPIST)
    profile.update("asha", {"meeting_url": MEETING_URL}, story.now)
    lives.show_both(confirmed(THURSDAY_10))
    story.cancel(story.reload(booking), Actor.THERAPIST)
    lives.show()


def test_new_keys_leave_the_entry_its_organizer(lives: Lives) -> None:
    booking = lives.accepted()
    changed = {"secret_key": "another key", "secret_key_fallbacks": ("a key for the tests",)}
    config.use(config.current().model_copy(update=changed))
    lives.story.propose(booking, THURSDAY_10)
    lives.story.take(booking, THURSDAY_10)
    lives.show_both(confirmed(THURSDAY_10))


def test_each_program_drops_what_is_old_of_others_or_announced_otherwise(lives: Lives) -> None:
    """What the tests above rely on: a wrong update does not show, or shows as a second entry."""
    booking = lives.accepted()
    lives.story.cancel(lives.story.reload(booking), Actor.CLIENT)
    email = next(each for each in lives.story.sent() if each.rcpt_tos == (DEE,)).parsed
    [cancel] = invitations(email)
    announced_otherwise = deepcopy(email)
    for part in announced_otherwise.walk():
        if part.get_content_type() == "text/calendar":
            part.set_param("method", "REQUEST")
    assert list(invitations(announced_otherwise)) == []
    for name, rules in PROGRAMS.items():
        for wrong in _wrong(cancel):
            calendar = next(each for each in lives.calendars if each.rules is rules)
            tried = deepcopy(calendar)
            tried._process(wrong)
            assert [each.starts_at for each in tried.shown] == [WEDNESDAY_10], (name, wrong)
        tried._process(cancel)
        assert tried.shown == []
        foreign = replace(cancel, method="REQUEST", organizer="other@in.example")
        calendar._process(foreign)
        assert len(calendar.shown) == (2 if rules.keeps_organizers_apart else 1), name


def _wrong(cancel: Invitation) -> list[Invitation]:
    return [
        replace(cancel, sequence=0),
        replace(cancel, organizer="other@in.example"),
        replace(cancel, attendees=frozenset({"eli@clients.example"})),
        replace(cancel, uid="MB-7K3QXD@mindsum-bookings"),
        replace(cancel, method="PUBLISH"),
    ]

"""Emails and pages of rare states say what is so: odd orders of moves, ops acting, outages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.rules.inbound import Why
from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import transitions
from app.services.inbound import explain
from app.services.jobs import due
from app.services.ops import bookings as ops
from app.services.therapists import accounts, standing
from app.store import queries
from app.store.models import Booking, Role
from app.web.links import tokens
from app.web.template_filters import rfc3339
from tests.harness.page_stories import sign_in
from tests.harness.pages import text
from tests.harness.smtp_server import Accepted
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import ELI, Story, total
from tests.web.conftest import Visitor, another_visitor

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ASHA = "asha@therapists.example"
WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
THURSDAY_10, FRIDAY_10 = WEDNESDAY_10 + DAY, WEDNESDAY_10 + 2 * DAY
MONDAY_NEXT = WEDNESDAY_10 + 5 * DAY
CLIENT, THERAPIST = Actor.CLIENT, Actor.THERAPIST


@pytest.fixture
def visitor(story: Story) -> Visitor:
    return another_visitor(story.app)


def accepted(story: Story) -> Booking:
    """Wednesday at ten, asked for on Monday at nine."""
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.accept(booking)
    story.deliver()
    return story.reload(booking)


def plain(email: Accepted) -> str:
    part = email.parsed.get_body(("plain",))
    return str(part.get_content()) if part else ""


def told(story: Story) -> dict[tuple[str, str], str]:
    """The text of each email that leaves now, by kind and recipient."""
    return {(each.kind, each.rcpt_tos[0].partition("@")[0]): plain(each) for each in story.sent()}


def page(story: Story, visitor: Visitor, purpose: LinkPurpose, booking: Booking) -> str:
    with story.app.test_request_context():
        path = tokens.path(purpose, story.reload(booking))
    return text(visitor.get(path))


def test_a_session_moved_late_and_cancelled_early_is_not_said_to_be_cancelled_late(
    story: Story, visitor: Visitor
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 20 * HOUR)
    story.propose(booking, MONDAY_NEXT, by=CLIENT)
    story.take(booking, MONDAY_NEXT, by=THERAPIST)
    story.deliver()
    story.cancel(story.reload(booking), CLIENT)
    emails = told(story)
    why = "had asked for this time when cancelling was no longer free"
    shown = page(story, visitor, LinkPurpose.MANAGE, booking)
    for words in (
        emails["cancellation_receipt", "dee"],
        emails["client_cancelled", "asha"],
        shown,
    ):
        assert why in words
        assert "24 hours" not in words.partition("What has happened")[0]


def test_a_session_cancelled_free_after_a_refused_move_is_not_said_to_be_cancelled_early(
    story: Story,
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 25 * HOUR)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.at(WEDNESDAY_10 - 23 * HOUR)
    story.keep(booking, by=THERAPIST)
    story.deliver()
    story.cancel(story.reload(booking), CLIENT)
    emails = told(story)
    for words in (emails["cancellation_receipt", "dee"], emails["client_cancelled", "asha"]):
        assert "asked in time to move it" in words
        assert "nothing is charged" in words
        assert "more than 24 hours" not in words


def test_the_exact_moment_of_24_hours_is_said_to_be_within_them(story: Story) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - DAY)
    story.cancel(booking, CLIENT)
    assert (
        "24 hours or less before the start, £60.00 is due"
        in (told(story)["cancellation_receipt", "dee"])
    )


@pytest.mark.parametrize("answered_at", [23.5, 24.5])
def test_who_asked_in_time_is_not_said_to_have_asked_late(
    app: Flask, story: Story, visitor: Visitor, answered_at: float
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 25 * HOUR)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.at(WEDNESDAY_10 - timedelta(hours=answered_at))
    assert "not free any more" not in page(story, visitor, LinkPurpose.AGREE, booking)
    sign_in(app, story.mail, visitor, ASHA)
    shown = text(visitor.get(f"/dashboard/sessions/{booking.reference}"))
    assert "not free any more" not in shown
    # What declining it means for the client is said before the press.
    assert "asked in time" in page(story, visitor, LinkPurpose.REFUSE, booking)


def test_who_asked_late_is_told_of_as_such(story: Story, visitor: Visitor) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 23 * HOUR)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    assert "not free any more" in page(story, visitor, LinkPurpose.AGREE, booking)
    assert "asked in time" not in page(story, visitor, LinkPurpose.REFUSE, booking)


def deactivate(story: Story) -> None:
    for number in range(5):
        booking = story.ask(starts_at=MONDAY + timedelta(days=10 + number, hours=1))
        story.accept(booking)
        story.cancel(story.reload(booking), THERAPIST)
    total(due.apply_standing(story.now))
    assert queries.therapist_by_slug("asha").is_deactivated


def test_a_move_that_a_deactivation_ends_is_not_said_to_be_unanswered(
    story: Story, visitor: Visitor
) -> None:
    booking = accepted(story)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    enquiry = story.ask(starts_at=THURSDAY_10)
    story.deliver()
    deactivate(story)
    emails = told(story)
    for reader in ("dee", "asha"):
        assert "in time" not in emails["time_kept", reader].partition("If something")[0]
    assert "Asha takes no new bookings" in emails["time_kept", "dee"]
    shown = page(story, visitor, LinkPurpose.MANAGE, booking)
    assert "so the old time stays" in shown
    assert "no answer in time" not in shown
    ended = page(story, visitor, LinkPurpose.MANAGE, enquiry)
    assert "did not answer" not in ended
    assert "Asha stopped taking bookings" in ended


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        (None, "back on Find a Therapist"),
        (accounts.pause, "stays paused"),
        (accounts.hide, "stays invisible"),
    ],
)
def test_a_reactivated_therapist_is_told_what_their_account_is(
    story: Story, choose: Callable[..., object] | None, said: str
) -> None:
    deactivate(story)
    story.deliver()
    if choose is not None:
        choose("asha", on=True)
    standing.reactivate("asha", story.now)
    assert said in told(story)["account_reactivated", "asha"]


def test_what_ops_answered_is_not_said_to_be_the_therapists_doing(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    other = story.ask(starts_at=THURSDAY_10)
    story.deliver()
    ops.answer(booking.reference, Move.ACCEPT, via=Via.CLI, now=story.now)
    ops.answer(other.reference, Move.DECLINE, via=Via.CLI, now=story.now)
    emails = told(story)
    assert "You accepted" not in emails["session_confirmed", "asha"]
    assert "Our team accepted for you" in emails["session_confirmed", "asha"]
    assert "said yes" not in emails["booking_accepted", "dee"]
    assert "You declined" not in emails["enquiry_declined", "asha"]
    sign_in(app, story.mail, visitor, ASHA)
    assert "You declined" not in text(visitor.get(f"/dashboard/sessions/{other.reference}"))


def test_cancelled_in_answer_names_who_pressed(app: Flask, story: Story, visitor: Visitor) -> None:
    booking = accepted(story)
    story.propose(booking, FRIDAY_10)
    story.cancel(story.reload(booking), CLIENT)
    shown = page(story, visitor, LinkPurpose.MANAGE, booking)
    assert "You cancelled this session" in shown
    assert "Asha cancelled" not in shown
    story.deliver()
    sign_in(app, story.mail, visitor, ASHA)
    shown = text(visitor.get(f"/dashboard/sessions/{booking.reference}"))
    assert "Dee cancelled this session" in shown
    assert "You cancelled this" not in shown


def test_a_suggestion_that_was_taken_is_not_said_to_be_a_yes(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.propose(booking, THURSDAY_10)
    story.deliver()
    story.take(booking, THURSDAY_10)
    words = told(story)["booking_accepted", "dee"]
    assert "said yes" not in words
    assert "You took a time that Asha suggested" in words


def test_nobody_is_asked_for_an_answer_after_the_enquirys_end(story: Story) -> None:
    booking = story.ask(starts_at=MONDAY + 6 * HOUR)
    story.deliver()
    story.propose(booking, THURSDAY_10)
    story.at(MONDAY + 5 * HOUR)
    kept = story.keep(booking).booking
    assert kept.answer_by == kept.expires_at == kept.starts_at
    assert "please answer by Mon 2 Nov 2026, 15:00" in told(story)["time_kept", "asha"]
    # It expires, and is not late before.
    story.at(MONDAY + 6 * HOUR)
    story.sweep()
    assert [event for event, _, _ in story.timeline(booking)][-1] == "expired"
    assert "late" not in [event for event, _, _ in story.timeline(booking)]


def test_a_request_that_leaves_hours_late_asks_for_nothing_in_the_past(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.wait(hours=5)
    transitions.refresh(booking.reference, via=Via.CLI, now=story.now)
    emails = told(story)
    assert "answer Dee as soon as you can" in emails["booking_requested", "asha"]
    assert "counts from this email on" in emails["booking_requested", "asha"]
    assert "expect an answer by" not in emails["booking_received", "dee"]


@pytest.mark.parametrize(
    ("move", "is_emailed"),
    [("keep", False), ("take_back", False), ("ask", False), ("take", True), ("cancel", True)],
)
def test_manage_booking_promises_an_email_only_where_one_leaves(
    story: Story, visitor: Visitor, move: str, is_emailed: bool
) -> None:
    booking = accepted(story)
    if move in ("keep", "take", "cancel"):
        story.propose(booking, FRIDAY_10)
    elif move == "take_back":
        story.propose(booking, FRIDAY_10, by=CLIENT)
    story.deliver()
    purpose, after, form = {
        "keep": (LinkPurpose.KEEP, "", {}),
        "take_back": (LinkPurpose.MANAGE, "/take-back", {}),
        "ask": (LinkPurpose.MANAGE, "/move", {"starts": rfc3339(FRIDAY_10)}),
        "take": (LinkPurpose.TAKE, "", {"starts_at": rfc3339(FRIDAY_10)}),
        "cancel": (LinkPurpose.MANAGE, "/cancel", {}),
    }[move]
    with story.app.test_request_context():
        path = tokens.path(purpose, story.reload(booking))
    shown = text(visitor.post(path + after, data=form))
    assert "Done." in shown
    assert ("We are sending you an email" in shown) is is_emailed
    assert ("dee" in {to for _, to in told(story)}) is is_emailed


def test_a_calendars_late_yes_to_a_suggested_enquiry_is_told_who_has_the_word(
    story: Story,
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.propose(booking, THURSDAY_10)
    story.deliver()
    explain.about_booking(story.reload(booking), Role.THERAPIST, Why.OLDER, story.now)
    words = told(story)["answer_not_taken", "asha"]
    assert "You suggested other times, and Dee has not chosen yet" in words
    assert "waiting for your answer" not in words


def test_the_page_after_a_request_is_shown_whatever_has_become_of_the_booking(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    with visitor.session_transaction() as browser:
        browser["asked"] = booking.reference
    for status in Status:
        Booking.update(status=status).execute()
        page = visitor.get("/therapists/asha/requested")
        assert page.status_code == 200, status
        assert booking.reference in page.text, status


def test_nothing_asks_for_an_answer_while_the_client_chooses_among_other_times(
    story: Story,
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    late = story.ask(starts_at=THURSDAY_10, client=ELI)
    story.deliver()
    unsent = story.ask(starts_at=FRIDAY_10)
    story.wait(hours=3, seconds=1)
    total(due.escalate_late(story.now))
    # Suggested on the dashboard before the emails of lateness leave.
    for enquiry, hours in ((booking, 3), (late, 4), (unsent, 5)):
        story.propose(enquiry, MONDAY_NEXT + hours * HOUR)
    left = {kind for kind, _ in story.deliver()}
    assert left == {"booking_received", "time_proposed"}
    # The client keeps the old time: the therapist is asked again.
    story.keep(booking)
    assert story.deliver() == [("time_kept", ASHA)]

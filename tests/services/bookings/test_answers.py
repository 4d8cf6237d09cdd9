"""Accept, decline, withdraw: one winner, each move once, never after the expiry."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest

from app.rules.lifecycle import Actor, Verdict, Via
from app.services.bookings import cancel
from app.store import queries
from app.store.db import database
from app.store.models import HeldTime, OutboxEmail, TimelineEntry, Writing
from tests.scenarios.story import ELI, Story, at_once

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("verb", "status", "kinds", "balances"),
    [
        (
            "accept",
            "accepted",
            {"booking_accepted", "session_confirmed"},
            {"client": -6000, "held": 6000},
        ),
        ("decline", "declined", {"booking_declined", "enquiry_declined"}, {"client": 0, "held": 0}),
        (
            "withdraw",
            "withdrawn",
            {"withdrawal_receipt", "booking_withdrawn"},
            {"client": 0, "held": 0},
        ),
    ],
)
def test_an_answer_is_stored_emailed_and_settled_once(
    story: Story, verb: str, status: str, kinds: set[str], balances: dict[str, int]
) -> None:
    booking = story.ask()
    story.deliver()
    answer = getattr(story, verb)
    assert answer(booking).verdict is Verdict.ALLOWED
    assert answer(booking).verdict is Verdict.REPEATED
    assert story.reload(booking).status == status
    assert story.balances(booking) == balances
    assert {kind for kind, _ in story.deliver()} == kinds
    assert story.deliver() == []
    assert len(story.timeline(booking)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("accept", "decline"),
        ("accept", "withdraw"),
        ("decline", "accept"),
        ("decline", "withdraw"),
        ("withdraw", "accept"),
        ("withdraw", "decline"),
    ],
)
def test_the_second_of_two_different_answers_changes_nothing(
    story: Story, first: str, second: str
) -> None:
    booking = story.ask()
    before = getattr(story, first)(booking).booking.status
    outcome = getattr(story, second)(booking)
    assert (outcome.verdict, outcome.booking.status) == (Verdict.OVERTAKEN, before)
    assert TimelineEntry.select().count() == 2


@pytest.mark.both_databases
def test_eight_clicks_at_once_make_one_move_and_one_email_to_the_client(story: Story) -> None:
    booking = story.ask()
    story.deliver()
    results = at_once([partial(answer, booking) for answer in (story.accept, story.decline) * 4])
    assert Counter(result.verdict for result in results) == {
        Verdict.ALLOWED: 1,
        Verdict.REPEATED: 3,
        Verdict.OVERTAKEN: 4,
    }
    to_client = [kind for kind, address in story.deliver() if address == "dee@clients.example"]
    assert len(to_client) == 1


@pytest.mark.parametrize("verb", ["accept", "decline", "withdraw"])
def test_an_answer_at_the_expiry_stores_the_expiry_and_shows_it(story: Story, verb: str) -> None:
    booking = story.ask()
    story.at(booking.expires_at)
    outcome = getattr(story, verb)(booking)
    assert (outcome.verdict, outcome.booking.status) == (Verdict.OVERTAKEN, "expired")
    assert story.timeline(booking)[-1] == ("expired", "system", "link")
    assert story.balances(booking) == {"client": 0, "held": 0}
    assert HeldTime.select().count() == 0
    assert {kind for kind, _ in story.deliver()} == {"booking_expired", "enquiry_expired"}


@pytest.mark.parametrize("verb", ["accept", "decline", "withdraw"])
def test_a_late_answer_counts_until_one_second_before_the_expiry(story: Story, verb: str) -> None:
    booking = story.ask()
    story.at(booking.expires_at - SECOND)
    assert getattr(story, verb)(booking).verdict is Verdict.ALLOWED


def test_a_declined_time_is_open_to_the_next_client(story: Story) -> None:
    first = story.ask()
    story.decline(first)
    assert story.ask(starts_at=first.starts_at, client=ELI).status == "requested"


@pytest.mark.both_databases
def test_a_reason_is_encrypted_and_in_no_email(story: Story) -> None:
    booking = story.ask()
    story.deliver()
    story.decline(booking, reason="Heliotrope is away")
    assert Writing.get(Writing.booking == booking).body == "Heliotrope is away"
    assert all("Heliotrope" not in each.parsed.as_string() for each in story.sent())
    stored = database.db.execute_sql("SELECT facts FROM outbox_email").fetchall()
    assert "Heliotrope" not in str(stored)


@pytest.mark.both_databases
def test_a_move_is_rolled_back_if_its_email_cannot_be_stored(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = story.ask()
    # The row that the move would write exists already, so the database refuses it.
    OutboxEmail.create(
        about=booking.reference,
        kind="session_confirmed",
        role="therapist",
        booking=booking,
        thread="x",
        facts={},
        created_at=story.now,
        due_at=story.now,
    )
    with pytest.raises(database.peewee.IntegrityError):
        story.accept(booking)
    assert story.reload(booking).status == "requested"
    assert story.timeline(booking) == [("requested", "client", "api")]


def test_the_timeline_is_in_the_order_of_taking_effect_not_of_reading_the_clock(
    story: Story,
) -> None:
    booking = story.ask()
    earlier = story.now
    story.wait(seconds=2)
    story.accept(booking)
    # This call read the clock before it waited for the therapist's lock.
    cancel.cancel(booking, by=Actor.CLIENT, via=Via.API, now=earlier)
    events = [line.event for line in queries.timeline_of(story.reload(booking))]
    assert events == ["requested", "accepted", "cancelled_by_client"]

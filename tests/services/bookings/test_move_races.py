"""Races for a proposed time: one winner, no time held twice, the ledger at zero, each told once."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.errors import DomainError
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import cancel, propose, request, transitions
from app.services.ops import replay
from app.store import queries
from app.store.db import database
from app.store.models import Booking, HeldTime, LedgerLine, OutboxEmail, Proposal
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.scenarios.story import ELI, Story, at_once, sender_to, total

pytestmark = pytest.mark.both_databases

MONDAY_9 = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# With two tests on two databases, more than a thousand races.
ROUNDS = runs(3, 260)


def outcomes(calls: list[Callable[[], Any]]) -> list[Any]:
    found = at_once(calls)
    unexpected = [each for each in found if isinstance(each, Exception)]
    assert all(isinstance(each, DomainError) for each in unexpected), unexpected
    return found


def is_sound(now: datetime) -> None:
    """Nothing held twice or by an ended booking, no ended proposal that holds, money at zero."""
    live = [each for each in Booking.select() if each.status in ("requested", "accepted")]
    held = Counter((row.therapist_id, row.cell_at) for row in HeldTime.select())
    assert all(count == 1 for count in held.values())
    ids = {booking.id for booking in live}
    open_ids = {each.id for each in Proposal.select().where(Proposal.outcome.is_null())}
    for row in HeldTime.select():
        assert row.booking_id in ids or row.proposal_id in open_ids
    for booking in live:
        cells = {row.cell_at for row in HeldTime.select().where(HeldTime.booking == booking)}
        assert len(cells) == 4
        assert min(cells) == booking.starts_at
    for booking in Booking.select():
        lines = LedgerLine.select().where(LedgerLine.booking == booking)
        assert sum(line.amount_minor for line in lines) == 0
    assert list(replay.find_differences(now)) == []


def told(booking: Booking) -> Counter[tuple[str, str]]:
    rows = OutboxEmail.select().where(OutboxEmail.booking == booking)
    return Counter((row.kind, str(row.role)) for row in rows)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_one_wins_the_race_for_a_suggested_time(app: Flask, story: Story, number: int) -> None:
    now = story.at(MONDAY_9)
    start, other = now + 3 * DAY + HOUR, now + 4 * DAY + HOUR
    booking = story.ask(starts_at=now + 2 * DAY)
    story.propose(booking, start, other)
    is_at_the_deadline = number % 2
    if is_at_the_deadline:
        now = story.at(queries.booking_by_id(booking.id).expires_at - timedelta(microseconds=1))
    wanted = request.BookingRequest("asha", *ELI, start, Kind.PAID)
    act: dict[str, Any] = {"via": Via.LINK, "now": now}
    calls = [
        partial(propose.take, booking, start, by=Actor.CLIENT, **act),
        partial(propose.take, booking, other, by=Actor.CLIENT, **act),
        partial(propose.keep, booking, by=Actor.CLIENT, **act),
        partial(transitions.make_move, booking, Move.ACCEPT, by=Actor.THERAPIST, **act),
        partial(transitions.make_move, booking, Move.DECLINE, by=Actor.THERAPIST, **act),
        partial(cancel.cancel, booking, by=Actor.CLIENT, **act),
        partial(request.request_booking, wanted, **act),
        partial(transitions.refresh, booking.reference, via=Via.SCHEDULER, now=now + 2 * DAY)
        if is_at_the_deadline
        else partial(transitions.refresh, booking.reference, via=Via.SCHEDULER, now=now),
    ]
    outcomes(calls[number % 3 :] + calls[: number % 3])
    is_sound(now)
    # Keeping may come before another move; taking, answering and withdrawing exclude one another.
    ends = Counter(event for event, _, _ in Story.timeline(booking))
    finals = ends["accepted"] + ends["declined"] + ends["withdrawn"] + ends["expired"]
    assert finals <= 1 or (ends["accepted"] == 1 and ends["cancelled_by_client"] == 1)
    assert all(count == 1 for count in told(booking).values())


@pytest.mark.parametrize("number", range(ROUNDS))
def test_one_wins_the_race_for_a_sessions_new_time(app: Flask, story: Story, number: int) -> None:
    now = story.at(MONDAY_9)
    booking = story.ask(starts_at=now + 2 * DAY + HOUR)
    story.accept(booking)
    start = now + 3 * DAY + HOUR
    by, other = [(Actor.CLIENT, Actor.THERAPIST), (Actor.THERAPIST, Actor.CLIENT)][number % 2]
    story.propose(booking, start, by=by)
    before = told(booking)
    act: dict[str, Any] = {"via": Via.LINK, "now": now}
    calls = [
        partial(propose.take, booking, start, by=other, **act),
        partial(propose.keep, booking, by=other, **act),
        partial(propose.keep, booking, by=by, **act),
        partial(cancel.cancel, booking, by=Actor.CLIENT, **act),
        partial(cancel.cancel, booking, by=Actor.THERAPIST, **act),
        partial(transitions.refresh, booking.reference, via=Via.SCHEDULER, now=now + DAY),
    ]
    outcomes(calls[number % 4 :] + calls[: number % 4])
    is_sound(now)
    events = Counter(event for event, _, _ in Story.timeline(booking))
    assert events["moved"] + events["proposal_declined"] + events["proposal_lapsed"] <= 1
    assert events["cancelled_by_client"] + events["cancelled_by_therapist"] == 1
    assert all(count == 1 for count in (told(booking) - before).values())


def test_an_email_from_before_a_move_hands_over_nothing_of_what_is_asked_since(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_received").execute()
    moved = []

    def move_once() -> None:
        """It commits while the server has the email of the old time."""
        if not moved:
            with app.app_context(), database.connection():
                story.wait(minutes=1)
                moved.append(story.propose(booking, booking.starts_at + DAY, by=Actor.CLIENT))

    def refuse_the_next(_address: str) -> str | None:
        return "451 4.3.0 try later" if moved else None

    with MailServer(on_message=move_once, on_recipient=refuse_the_next) as server:
        total(sender_to(app, server.port).deliver())
        assert [each.kind for each in server.messages] == ["booking_requested"]
    assert story.reload(booking).handed_over_at is None
    story.wait(minutes=5)
    story.deliver()
    assert story.reload(booking).handed_over_at == story.now

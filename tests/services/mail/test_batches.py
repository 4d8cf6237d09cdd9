"""Emails are claimed, read and recorded together: what one costs, and what a batch must not mix."""

from datetime import timedelta

import pytest
from flask import Flask

from app.services.mail import batch, sender
from app.store.db import database
from app.store.models import Booking, DeliveryAttempt, OutboxEmail, Outcome
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.web.conftest import counted_queries

BOOKINGS = 12
ASHA = "asha@therapists.example"


def ask_often(story: Story) -> None:
    first = story.now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=2)
    for number in range(BOOKINGS):
        client = (f"C{number} Long", f"c{number}@domain{number}.example", "UTC")
        story.ask(starts_at=first + timedelta(days=number), client=client)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_email_costs_at_most_three_statements(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A slow machine would claim fewer together, and read and record more often.
    monkeypatch.setattr(sender, "FIRST_BATCH", 2 * BOOKINGS)
    monkeypatch.setattr(batch, "FRESH_S", float("inf"))
    monkeypatch.setattr(batch, "STORE_AFTER_S", float("inf"))
    ask_often(story)
    statements = list[str]()
    connection = database.db.connection()
    connection.set_trace_callback(statements.append)
    sent = story.deliver()
    connection.set_trace_callback(None)
    assert len(sent) == 2 * BOOKINGS
    assert len(statements) <= 3 * len(sent), statements


@pytest.mark.parametrize("too_near", [False, True])
def test_what_all_offers_of_a_batch_have_in_common_is_read_once(
    story: Story, monkeypatch: pytest.MonkeyPatch, too_near: bool
) -> None:
    monkeypatch.setattr(sender, "FIRST_BATCH", 2 * BOOKINGS)
    monkeypatch.setattr(batch, "FRESH_S", float("inf"))
    ask_often(story)
    story.deliver()
    story.wait(days=1, hours=1)
    story.sweep()
    if too_near:
        Booking.update(starts_at=story.now, ends_at=story.now + timedelta(minutes=50)).execute()
    with counted_queries() as seen:
        told = [kind for kind, _ in story.deliver()]
    assert told.count("booking_expired") == BOOKINGS
    assert sum('ORDER BY "t1"."score" DESC' in each for each in seen) == 1
    assert sum('FROM "availability"' in each for each in seen) == 1
    # What is taken at its own time and, since nobody has that open, near it is read for each; what
    # comes soonest is the same for all whose own time is gone.
    assert sum('FROM "time_off"' in each for each in seen) == (1 if too_near else 2 * BOOKINGS)


@pytest.mark.both_databases
def test_each_email_of_a_batch_has_its_own_end(story: Story, app: Flask) -> None:
    ask_often(story)
    replies = {
        "rcpt c3@domain3.example": "550 5.1.1 no such mailbox",
        "rcpt c7@domain7.example": "451 4.3.0 later",
    }
    with FaultyServer(replies) as server:
        result = total(sender_to(app, server.port).deliver())
        taken = [one.rcpt_tos[0] for one in server.messages]
    # Two more tell the therapist and ops that a client cannot be reached.
    assert (result.due, result.done, result.failed) == (2 * BOOKINGS + 2, 2 * BOOKINGS, 1)
    assert len(taken) == 2 * BOOKINGS
    ends = {
        row.recipient.email: row.status.value
        for row in OutboxEmail.select().where(OutboxEmail.role == "client")
    }
    assert ends.pop("c3@domain3.example") == "failed"
    assert ends.pop("c7@domain7.example") == "queued"
    assert set(ends.values()) == {"sent"}
    outcomes = [row.outcome for row in DeliveryAttempt.select()]
    assert outcomes.count(Outcome.SENT) == 2 * BOOKINGS


@pytest.mark.both_databases
def test_an_address_that_dies_in_a_batch_is_not_tried_again_in_it(story: Story, app: Flask) -> None:
    first = story.now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=2)
    for days in range(3):
        story.ask(starts_at=first + timedelta(days=days), client=DEE)
    story.ask("bran", starts_at=first.replace(hour=15), client=ELI)
    with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
        offered = [line for line in server.commands if line == f"RCPT TO:<{DEE[1]}>"]
    assert len(offered) == 1

"""When nothing is sent: the outbox is held, the server is down or full, the process stops."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.mail import batch
from app.services.mail import sender as sending
from app.store import outbox
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus
from tests.harness.smtp_server import PATIENCE_S, Action, FaultyServer, MailServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, sending_in_thread, total
from tests.services.mail.conftest import Logged

CROWDED = "421 4.7.0 too many connections from you"
WRONG_PASSWORD = "535 5.7.8 wrong"
LOG_IN_FIRST = "530 5.7.1 authentication required"
LOGIN = {"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "s3cret-pass"}


def ask_bran(story: Story) -> None:
    """Two more emails, to others than Asha and Dee."""
    starts_at = story.now.replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=2)
    story.withdraw(story.ask("bran", client=ELI, starts_at=starts_at))


@pytest.fixture
def four_due(story: Story) -> Story:
    """Four emails to four recipients are due."""
    story.ask()
    story.ask("bran", client=ELI, starts_at=story.now.replace(hour=15) + timedelta(days=2))
    return story


def standings() -> Counter[tuple[str, int]]:
    """How many emails have that status and that many attempts."""
    return Counter((row.status.value, row.attempts) for row in OutboxEmail.select())


def status_of(kind: str) -> str:
    return str(OutboxEmail.get(OutboxEmail.kind == kind).status.value)


@pytest.fixture
def one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection claims one email at a time, so that some are left for the others."""
    monkeypatch.setattr(sending, "FIRST_BATCH", 1)
    monkeypatch.setattr(sending, "LARGEST_BATCH", 1)


def hold(app: Flask) -> None:
    with app.app_context(), database.connection():
        outbox.hold(clock.now())


# Crowded servers


@pytest.mark.usefixtures("one_each")
def test_a_server_with_room_for_one_connection_gets_everything_over_that_one(
    four_due: Story, app: Flask, logged: Logged
) -> None:
    with FaultyServer({"greeting": [None, CROWDED]}) as server:
        sender = sender_to(app, server.port)
        first = sender.deliver()
        next(first)
        assert total(sender.deliver()).done == 0
        assert standings() == {("sent", 1): 1, ("queued", 0): 3}
        assert total(sender.deliver()).done == 0
        assert server.connections == 2
        assert total(first).done == 3
    assert standings() == {("sent", 1): 4}
    assert len(logged("mail_server_crowded")) == 1
    assert not logged("outbox_paused")


class FullServer(FaultyServer):
    """Has room for one connection, which waits at `stage` until another was turned away."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage
        self.is_full, self.may_go_on = threading.Event(), threading.Event()

    def action(self, stage: str, argument: str) -> Action:
        if stage == "greeting" and self.is_full.is_set():
            return CROWDED
        if stage == self._stage:
            self.is_full.set()
            self.may_go_on.wait(PATIENCE_S)
        return super().action(stage, argument)


@pytest.mark.parametrize("stage", ["greeting", "quit"])
def test_a_connection_that_is_being_greeted_or_says_goodbye_counts_as_let_in(
    story: Story, app: Flask, stage: str, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mailer.client.QUIT_TIMEOUT_S", PATIENCE_S)
    story.ask()
    with FullServer(stage) as server:
        sender = sender_to(app, server.port)
        with sending_in_thread(app, sender):
            assert server.is_full.wait(PATIENCE_S), f"the server saw only {server.commands}"
            story.ask("bran", client=ELI, starts_at=story.now.replace(hour=15) + timedelta(days=2))
            assert total(sender.deliver()).done == 0
            server.may_go_on.set()
    assert not logged("outbox_paused")
    assert len(logged("mail_server_crowded")) == 1
    assert {status for status, attempts in standings() if attempts} == {"sent"}


@pytest.mark.usefixtures("one_each")
def test_a_server_that_was_crowded_gets_more_connections_later(four_due: Story, app: Flask) -> None:
    with FaultyServer({"greeting": [None, CROWDED]}) as server:
        sender = sender_to(app, server.port)
        first = sender.deliver()
        next(first)
        total(sender.deliver())
        four_due.wait(minutes=1)
        assert next(sender.deliver()).done == 1
        assert server.connections == 3
        first.close()


@pytest.mark.usefixtures("one_each")
def test_a_server_that_turns_every_connection_away_pauses_the_queue(
    four_due: Story, app: Flask, logged: Logged
) -> None:
    with FaultyServer({"greeting": CROWDED}) as server:
        sender = sender_to(app, server.port)
        assert total(sender.deliver()).done == total(sender.deliver()).done == 0
        assert server.connections == 1
    assert len(logged("outbox_paused")) == 1
    assert not logged("mail_server_crowded")


# Pauses


def test_the_same_pause_is_logged_once_in_ten_minutes(
    story: Story, app: Flask, logged: Logged
) -> None:
    story.ask()
    with FaultyServer({"auth": WRONG_PASSWORD}) as server:
        sender = sender_to(app, server.port, **LOGIN)
        for _ in range(20):
            total(sender.deliver())
            story.wait(minutes=1)
        assert server.connections == 20
    assert len(logged("outbox_paused")) == 2


def test_a_pause_after_a_success_is_logged_again(story: Story, app: Flask, logged: Logged) -> None:
    wrong = WRONG_PASSWORD
    with FaultyServer({"auth": [wrong, wrong, None, wrong, wrong]}) as server:
        sender = sender_to(app, server.port, **LOGIN)
        for _ in range(5):
            ask_bran(story)
            total(sender.deliver())
            story.wait(minutes=2)
    assert logged("email_sent")
    assert len(logged("outbox_paused")) == 2


@pytest.mark.both_databases
def test_an_email_that_alone_is_not_let_in_delays_no_other_and_is_given_up(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    story.decline(booking)
    with FaultyServer({f"rcpt {DEE[1]}": LOG_IN_FIRST}) as server:
        for _ in range(3):
            # A new sender each time, as where cron starts a process for each run.
            total(sender_to(app, server.port).deliver())
            story.wait(minutes=2)
        assert status_of("enquiry_declined") == "sent"
        for _ in range(5):
            ask_bran(story)
            total(sender_to(app, server.port).deliver())
            story.wait(hours=8)
    assert status_of("booking_declined") == "failed"


def test_a_server_that_lets_nothing_in_after_the_login_costs_no_attempt(
    story: Story, app: Flask
) -> None:
    story.ask()
    with FaultyServer({"rcpt": LOG_IN_FIRST}) as server:
        sender = sender_to(app, server.port)
        for _ in range(5):
            total(sender.deliver())
            story.wait(hours=4)
    assert standings() == {("queued", 0): 2}
    assert {row.outcome.value for row in DeliveryAttempt.select()} == {"blocked"}
    assert len(story.deliver()) == 2


# Holds


def test_a_held_outbox_sends_nothing_until_it_is_released(
    story: Story, mail: MailServer, logged: Logged
) -> None:
    story.ask()
    outbox.hold(story.now)
    held_at = story.now
    story.wait(seconds=30)
    outbox.hold(story.now)
    assert outbox.held_since() == held_at
    sender = sender_to(story.app, mail.port)
    for _ in range(3):
        assert total(sender.deliver()).due == 0
        story.wait(seconds=25)
    assert mail.connections == 0
    assert [line["waiting"] for line in logged("outbox_held")] == [2]
    total(sender.deliver())
    assert len(logged("outbox_held")) == 2
    assert outbox.release(story.now) == 2
    assert outbox.held_since() is None
    assert total(sender.deliver()).done == 2


def test_a_hold_during_a_message_lets_that_one_go_and_no_other(story: Story) -> None:
    story.ask()
    with MailServer(on_message=lambda: hold(story.app)) as server:
        total(sender_to(story.app, server.port).deliver())
        assert len(server.messages) == 1 < OutboxEmail.select().count()


def test_a_hold_gives_back_what_was_claimed_and_not_yet_sent(
    four_due: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "STORE_AFTER_S", 0)
    with MailServer() as server:
        parts = sender_to(app, server.port).deliver()
        next(parts)
        outbox.hold(four_due.now)
        assert total(parts).done == 0
        assert len(server.messages) == 1
        assert standings() == {("sent", 1): 1, ("queued", 0): 3}
        outbox.release(four_due.now)
        assert total(sender_to(app, server.port).deliver()).done == 3


def test_a_hold_before_the_end_of_a_message_withholds_that_message_too(
    four_due: Story, app: Flask
) -> None:
    acts = [lambda: hold(app)]

    def hold_once(_address: str) -> None:
        if acts:
            acts.pop()()

    with MailServer(on_recipient=hold_once) as server:
        sender = sender_to(app, server.port)
        assert total(sender.deliver()).done == 0
        assert server.messages == []
        assert standings() == {("queued", 0): 4}
        outbox.release(four_due.now)
        assert total(sender.deliver()).done == 4
        assert len({each.parsed["Message-ID"] for each in server.messages}) == 4


@pytest.mark.both_databases
def test_moves_go_on_while_the_outbox_is_held(story: Story) -> None:
    outbox.hold(story.now)
    booking = story.ask()
    story.accept(booking)
    messages.send(booking, "Is the room on the ground floor?",
                  author=Actor.CLIENT, now=story.now)  # fmt: skip
    outbox.release(story.now)
    kinds = {kind for kind, _ in story.deliver()}
    assert kinds == {"booking_accepted", "session_confirmed", "new_message"}
    skipped = OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.SKIPPED)
    assert {row.kind for row in skipped} == {"booking_requested", "booking_received"}


# Stopping


def test_a_process_that_must_stop_finishes_no_message(four_due: Story, app: Flask) -> None:
    is_stopping = threading.Event()
    with MailServer(on_recipient=lambda _address: is_stopping.set()) as server:
        assert total(sender_to(app, server.port, is_stopping.is_set).deliver()).done == 0
        assert server.messages == []
        assert standings() == {("queued", 0): 4}
        assert total(sender_to(app, server.port).deliver()).done == 4
    assert len(server.messages) == 4

"""When the senders hold back: the outbox is held, the server is full of us, time is short."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope
from flask import Flask

from app import clock
from app.mailer import Mailer
from app.services.mail import sender
from app.services.mail.sender import OutboxSender
from app.store import outbox
from app.store.db import database
from app.store.models import OutboxEmail
from tests.harness.smtp_server import PATIENCE_S, Action, FaultyServer, MailServer
from tests.scenarios.story import ELI, Story, lane, sender_to, total

pytestmark = pytest.mark.both_databases

CROWDED = "421 4.7.0 too many connections from you"


@pytest.fixture
def asked(story: Story) -> Story:
    """Four emails to four recipients wait."""
    story.ask()
    story.ask("bran", client=ELI, starts_at=story.now.replace(hour=15) + timedelta(days=2))
    return story


def standings() -> Counter[tuple[str, int]]:
    """How many emails have that status and that many attempts."""
    return Counter((row.status.value, row.attempts) for row in OutboxEmail.select())


def told(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """How often which event was told of; what libraries log is none."""
    return Counter(line.msg["event"] for line in caplog.records if isinstance(line.msg, dict))


@pytest.fixture
def one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane claims one email at a time, so that there are some left for the others."""
    monkeypatch.setattr(sender, "BATCH", 1)


@pytest.mark.usefixtures("one_each")
def test_a_server_that_lets_in_one_connection_gets_all_by_that_one(
    asked: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultyServer({"greeting": [None, CROWDED]}) as server:
        one = sender_to(app, server.port)
        first = one.deliver()
        next(first)
        assert total(one.deliver()).done == 0
        assert standings() == {("sent", 1): 1, ("queued", 0): 3}
        assert total(one.deliver()).done == 0
        assert server.connections == 2
        assert total(first).done == 3
    assert standings() == {("sent", 1): 4}
    assert told(caplog)["mail_server_crowded"] == 1
    assert told(caplog)["outbox_paused"] == 0


class Doorman(FaultyServer):
    """Has room for one, who is kept waiting at `stage` until another has been turned away."""

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
def test_who_is_still_being_greeted_or_says_goodbye_counts_as_let_in(
    story: Story,
    app: Flask,
    stage: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.mailer.client.QUIT_TIMEOUT_S", PATIENCE_S)
    story.ask()
    with Doorman(stage) as server:
        one = sender_to(app, server.port)
        with lane(app, one):
            assert server.is_full.wait(PATIENCE_S)
            story.ask("bran", client=ELI, starts_at=story.now.replace(hour=15) + timedelta(days=2))
            assert total(one.deliver()).done == 0
            server.may_go_on.set()
    assert told(caplog)["outbox_paused"] == 0
    assert told(caplog)["mail_server_crowded"] == 1
    assert {status for status, attempts in standings() if attempts} == {"sent"}


@pytest.mark.usefixtures("one_each")
def test_a_server_that_was_crowded_is_tried_with_more_connections_later(
    asked: Story, app: Flask
) -> None:
    with FaultyServer({"greeting": [None, CROWDED]}) as server:
        one = sender_to(app, server.port)
        first = one.deliver()
        next(first)
        total(one.deliver())
        asked.wait(minutes=1)
        assert next(one.deliver()).done == 1
        assert server.connections == 3
        first.close()


@pytest.mark.usefixtures("one_each")
def test_a_server_that_lets_nobody_in_pauses_the_queue_as_ever(
    asked: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultyServer({"greeting": CROWDED}) as server:
        one = sender_to(app, server.port)
        assert total(one.deliver()).done == total(one.deliver()).done == 0
        assert server.connections == 1
    assert told(caplog)["outbox_paused"] == 1
    assert told(caplog)["mail_server_crowded"] == 0


def test_a_hold_gives_back_what_was_claimed_and_not_yet_sent(asked: Story, app: Flask) -> None:
    with MailServer() as server:
        parts = sender_to(app, server.port).deliver()
        next(parts)
        outbox.hold(asked.now)
        assert total(parts).done == 0
        assert len(server.messages) == 1
        assert standings() == {("sent", 1): 1, ("queued", 0): 3}
        outbox.release(asked.now)
        assert total(sender_to(app, server.port).deliver()).done == 3


class Interrupted(MailServer):
    """A mail server during whose first conversation, before any content, something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = [happens]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self._happens:
            await asyncio.to_thread(self._happens.pop())
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Known"


def test_a_hold_stops_also_the_email_that_is_just_being_told(asked: Story, app: Flask) -> None:
    def hold() -> None:
        with app.app_context(), database.connection():
            outbox.hold(clock.now())

    with Interrupted(hold) as server:
        one = sender_to(app, server.port)
        assert total(one.deliver()).done == 0
        assert server.messages == []
        assert standings() == {("queued", 0): 4}
        asked.wait(minutes=1)
        outbox.release(asked.now)
        assert total(one.deliver()).done == 4
        assert len({each.parsed["Message-ID"] for each in server.messages}) == 4


def test_where_time_is_short_no_message_is_ended_whose_answer_nobody_would_hear(
    asked: Story, app: Flask
) -> None:
    late: list[bool] = []
    with Interrupted(lambda: late.append(True)) as server:
        elsewhere = Flask("elsewhere")
        elsewhere.config.update(app.config, MAIL_PORT=server.port)
        parts = OutboxSender(Mailer(elsewhere), clock.now, lambda: bool(late)).deliver()
        assert next(parts).done == 0
        parts.close()
        assert server.messages == []
        assert Counter(status for status, _ in standings().elements()) == {"queued": 4}
        asked.wait(minutes=1)
        assert total(sender_to(app, server.port).deliver()).done == 4
    assert len(server.messages) == 4

"""Sending where one email meets what the others do not, or a client is erased meanwhile."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope
from flask import Flask

from app import clock
from app.services import clients
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail
from tests.harness.smtp_server import FaultyServer, MailServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total

pytestmark = pytest.mark.both_databases

ASHA = "asha@therapists.example"


def standing(kind: str) -> str:
    return str(OutboxEmail.get(OutboxEmail.kind == kind).status.value)


def told(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """How often which event was told of; what libraries log is none."""
    return Counter(line.msg["event"] for line in caplog.records if isinstance(line.msg, dict))


def ask_bran_and_withdraw(story: Story) -> None:
    """Emails to others than Asha and Dee."""
    starts_at = story.now.replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=2)
    story.withdraw(story.ask("bran", client=ELI, starts_at=starts_at))


def test_a_second_pause_is_told_of_as_the_first_was(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "535 5.7.8 wrong"
    with FaultyServer({"auth": [wrong, wrong, None, wrong, wrong]}) as server:
        one = sender_to(app, server.port, MAIL_USERNAME="mindsum", MAIL_PASSWORD="right")
        for _ in range(5):
            ask_bran_and_withdraw(story)
            total(one.deliver())
            story.wait(minutes=2)
    assert told(caplog)["email_sent"] > 0
    assert told(caplog)["outbox_paused"] == 2


def test_an_email_that_alone_is_not_let_in_holds_up_no_other_and_is_given_up(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    story.decline(booking)
    with FaultyServer({f"rcpt {DEE[1]}": "530 5.7.1 authentication required"}) as server:
        for _ in range(3):
            # As from cron: each run is a process of its own.
            total(sender_to(app, server.port).deliver())
            story.wait(minutes=2)
        assert standing("enquiry_declined") == "sent"
        for _ in range(28):
            ask_bran_and_withdraw(story)
            total(sender_to(app, server.port).deliver())
            story.wait(hours=1)
    assert standing("booking_declined") == "failed"


def test_a_server_that_lets_nothing_in_after_the_login_burns_no_attempt(
    story: Story, app: Flask
) -> None:
    story.ask()
    with FaultyServer({"rcpt": "530 5.7.1 authentication required"}) as server:
        one = sender_to(app, server.port)
        for _ in range(20):
            total(one.deliver())
            story.wait(hours=1)
    assert [(row.status.value, row.attempts) for row in OutboxEmail.select()] == [
        ("queued", 0),
        ("queued", 0),
    ]
    assert {row.outcome.value for row in DeliveryAttempt.select()} == {"blocked"}
    assert len(story.deliver()) == 2


def test_whom_somebody_erases_while_their_email_is_being_sent_does_not_get_it(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    story.withdraw(booking)

    class Slow(MailServer):
        async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
            self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
        ) -> str:
            if address == DEE[1]:
                await asyncio.to_thread(erase)
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Known"

    def erase() -> None:
        with app.app_context(), database.connection():
            clients.erase(DEE[1], clock.now())

    with Slow() as server:
        total(sender_to(app, server.port).deliver())
        assert [each.rcpt_tos for each in server.messages] == [(ASHA,)]
    assert standing("withdrawal_receipt") == "skipped"

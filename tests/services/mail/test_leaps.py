"""A clock that leaps ends no lease: owners that are alive renew them first."""

import threading
from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.services.mail import leases
from app.services.mail.leases import LeapWatch
from app.store.models import OutboxEmail
from tests.harness.smtp_server import PATIENCE_S, MailServer
from tests.scenarios.story import Story, sender_to, sending_in_thread, total


class Times:
    """A fake `time` module."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s


def test_a_leap_of_the_clock_sends_nothing_again_from_another_process(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ask()
    times, has_message, may_answer = Times(), threading.Event(), threading.Event()

    def answer_later() -> None:
        has_message.set()
        may_answer.wait(PATIENCE_S)

    with MailServer(on_message=answer_later) as server:
        first = sender_to(app, server.port)
        monkeypatch.setattr(leases, "time", times)
        other = sender_to(app, server.port, leaps=LeapWatch(clock.now))
        with sending_in_thread(app, first):
            assert has_message.wait(PATIENCE_S)
            story.wait(hours=3)
            assert total(other.deliver()).due == 0
            may_answer.set()
        assert len(server.messages) == len({each.parsed["Message-ID"] for each in server.messages})


@pytest.mark.both_databases
def test_what_nobody_renewed_after_a_leap_is_sent(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ask()
    OutboxEmail.update(status="sending", lease_token="lost", due_at=story.now).execute()
    times = Times()
    monkeypatch.setattr(leases, "time", times)
    sender = sender_to(app, story.mail.port, leaps=LeapWatch(clock.now))
    story.wait(minutes=10)
    assert total(sender.deliver()).due == 0
    times.passed_s = 2 * leases.RENEW_EVERY_S
    story.wait(seconds=times.passed_s)
    assert total(sender.deliver()).done == 2


@pytest.mark.parametrize(
    ("passed_s", "moved", "has_leapt"),
    [
        (0.5, timedelta(seconds=0.5), False),
        (60, timedelta(seconds=62), False),
        (0.5, timedelta(seconds=5), True),
        (0.5, timedelta(hours=-1), True),
        (60, timedelta(seconds=0), True),
    ],
)
def test_a_leap_is_a_clock_that_moved_otherwise_than_time(
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
    passed_s: float,
    moved: timedelta,
    has_leapt: bool,
) -> None:
    times = Times()
    monkeypatch.setattr(leases, "time", times)
    watch = LeapWatch(clock.now)
    times.passed_s += passed_s
    story.at(story.now + moved)
    assert watch.has_just_leapt() is has_leapt

"""How many connections a process uses: as many as help while it waits, few while it computes."""

from datetime import timedelta

import pytest
from flask import Flask

from app.services.mail import batch, throttle
from app.services.mail import sender as sending
from app.services.mail.throttle import ProcessorShare
from app.store.models import Booking, OutboxEmail
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import ELI, Story, sender_to, total
from tests.services.mail.conftest import Logged


class Share(ProcessorShare):
    """As much as a test says."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def current(self) -> float:
        return self.value


@pytest.fixture
def six_due(story: Story, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Six emails of six mail threads are due, and a connection claims one at a time."""
    story.ask()
    in_two_days = story.now.replace(hour=15) + timedelta(days=2)
    story.ask("bran", client=ELI, starts_at=in_two_days)
    story.ask(
        "chi",
        client=("Fay Low", "fay@clients.example", "UTC"),
        starts_at=in_two_days.replace(hour=1),
    )
    monkeypatch.setattr(sending, "FIRST_BATCH", 1)
    monkeypatch.setattr(sending, "LARGEST_BATCH", 1)
    monkeypatch.setattr(batch, "STORE_AFTER_S", 0)
    return story


@pytest.mark.parametrize(("share", "connections"), [(0.05, 2), (0.3, 2), (0.5, 1), (1.0, 1)])
def test_another_connection_is_opened_while_the_process_mostly_waits(
    six_due: Story, app: Flask, share: float, connections: int
) -> None:
    with FaultyServer() as server:
        sender = sender_to(app, server.port, share=Share(share))
        first = sender.deliver()
        next(first)
        second = total(sender.deliver())
        assert server.connections == connections
        assert second.done == (5 if connections == 2 else 0)
        assert total(first).done == 5 - second.done


def test_another_connection_is_opened_where_nothing_leaves_however_much_is_computed(
    six_due: Story, app: Flask
) -> None:
    with FaultyServer() as server:
        sender = sender_to(app, server.port, share=Share(1.0))
        first = sender.deliver()
        next(first)
        six_due.wait(seconds=2)
        assert total(sender.deliver()).done == 5
        assert total(first).done == 0
        assert server.connections == 2


def test_the_newest_connection_ends_while_the_process_only_computes(
    six_due: Story, app: Flask
) -> None:
    share = Share(0.2)
    with FaultyServer() as server:
        sender = sender_to(app, server.port, share=share)
        first, second = sender.deliver(), sender.deliver()
        next(first)
        next(second)
        share.value = 0.9
        assert total(second).done == 0
        assert total(first).done == 4
        assert server.connections == 2


@pytest.mark.both_databases
def test_a_process_leaves_a_server_that_is_full_to_another_one_that_sends(
    six_due: Story, app: Flask, logged: Logged
) -> None:
    with FaultyServer({"greeting": [None, "421 4.7.0 too many connections"]}) as server:
        first, second = sender_to(app, server.port), sender_to(app, server.port)
        parts = first.deliver()
        next(parts)
        assert [total(second.deliver()).done for _ in range(2)] == [0, 0]
        assert server.connections == 2
        assert total(parts).done == 5
        assert {row.attempts for row in OutboxEmail.select()} == {1}
        assert not logged("outbox_paused")
        six_due.withdraw(Booking.get_by_id(1))
        six_due.wait(seconds=6)
        assert total(second.deliver()).done == 2


class Times:
    """A fake `time` module."""

    def __init__(self) -> None:
        self.passed_s = self.computed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s

    def process_time(self) -> float:
        return self.computed_s


def test_the_share_is_measured_at_most_ten_times_a_second_and_starts_at_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times()
    monkeypatch.setattr(throttle, "time", times)
    share, seen = ProcessorShare(), []
    for passed_s, computed_s in ((0.05, 0.0), (0.06, 0.02), (0.05, 0.05), (0.4, 0.27)):
        times.passed_s += passed_s
        times.computed_s += computed_s
        seen.append(share.current())
    assert seen == pytest.approx([1.0, 0.02 / 0.11, 0.02 / 0.11, 0.32 / 0.45])
    share.restart()
    assert share.current() == 1.0

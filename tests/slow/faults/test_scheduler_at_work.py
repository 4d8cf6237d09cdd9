"""A running scheduler: what SIGTERM does to emails in hand, and to a job that hangs."""

import asyncio
import json
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from app.scheduler import process
from app.store.models import Booking, OutboxEmail
from tests.harness.processes import Site
from tests.harness.smtp_server import Fault, FaultyServer, MailServer
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.story import ELI, Story

HOURS = (9, 11, 13, 15)
STOPS_WITHIN_5_S = """
import sys
from app.scheduler import process
process.STOPS_WITHIN_S = 5
sys.exit(process.main())
"""
STOPS_WITHIN_50_S = STOPS_WITHIN_5_S.replace("= 5", "= 50")
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def site(story: Story, database_url: str, tmp_path: Path) -> Site:
    """Processes on the story's database, with the story's time."""
    built = Site(database_url, tmp_path, story.mail)
    built.environment["LOG_FORMAT"] = "json"
    real_now = datetime.fromtimestamp(time_machine.escape_hatch.time.time(), UTC)
    built.move_to(story.now, real_now)
    return built


class SlowServer(MailServer):
    """Takes 0.3 s for each message, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Lock()

    async def handle_DATA(self, *about: Any) -> str:  # noqa: N802 - aiosmtpd's name
        async with self._turn:
            await asyncio.sleep(0.3)
        return await super().handle_DATA(*about)


def ask_often(story: Story, count: int) -> list[Booking]:
    """That many enquiries of Eli, from the day after tomorrow."""
    first = story.now.replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=2)
    return [
        story.ask(
            starts_at=first.replace(hour=HOURS[number % 4]) + timedelta(days=number // 4),
            client=ELI,
        )
        for number in range(count)
    ]


def statuses() -> Counter[str]:
    return Counter(row.status.value for row in OutboxEmail.select())


def logged(site: Site, event: str) -> list[dict[str, Any]]:
    """What the schedulers logged of that event."""
    lines = [json.loads(line) for line in site.logs().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_it_stops_within_the_ten_seconds_that_process_managers_allow() -> None:
    assert process.STOPS_WITHIN_S + process.WORKER_ENDS_WITHIN_S < 10


def test_told_to_stop_even_twice_it_finishes_the_emails_in_hand_and_gives_the_others_back(
    story: Story, site: Site
) -> None:
    ask_often(story, 30)
    with SlowServer() as slow:
        site.environment["MAIL_PORT"] = str(slow.port)
        with site.spawn("-c", STOPS_WITHIN_50_S) as running:
            until("three messages", lambda: slow.messages, lambda sent: len(sent) >= 3)
            running.send_signal(signal.SIGINT)
            running.terminate()
            assert running.wait(PATIENCE_S) == 0
        taken = len(slow.messages)
    assert 3 <= taken < 60
    assert statuses() == {"sent": taken, "queued": 60 - taken}
    waiting = OutboxEmail.select().where(OutboxEmail.status == "queued")
    assert {(row.attempts, row.lease_token) for row in waiting} == {(0, None)}
    assert [line.get("abandoned") for line in logged(site, "scheduler_stopped")] == [None]
    assert "Traceback" not in site.logs()


@SQLITE
def test_a_job_that_hangs_stops_no_other_and_is_abandoned_at_the_stop(
    story: Story, site: Site
) -> None:
    (booking,) = ask_often(story, 1)
    site.environment["MAIL_TIMEOUT"] = "100"
    with FaultyServer({"greeting": Fault.SILENCE}) as blackhole:
        site.environment["MAIL_PORT"] = str(blackhole.port)
        with site.spawn("-c", STOPS_WITHIN_5_S) as running:
            until("a connection to the mail server", lambda: blackhole.connections)
            site.pass_time(timedelta(hours=30))
            until(
                "the booking to expire",
                lambda: story.reload(booking).status,
                lambda status: status == "expired",
            )
            running.terminate()
            assert running.wait(PATIENCE_S) == 1
    # Either of its processes may have the emails.
    stopped = logged(site, "scheduler_stopped") + logged(site, "delivery_worker_stopped")
    assert {line["abandoned"] for line in stopped if "abandoned" in line} == {"deliver_outbox"}
    assert logged(site, "expired")[0]["booking"] == booking.reference

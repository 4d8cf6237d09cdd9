"""A scheduler sleeps for twice its lease and wakes: what others did meanwhile stays as it is."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus, TimelineEntry
from tests.harness.fork_supervisor import SCHEDULER, WEB, Child, Nursery
from tests.harness.processes import Town, until
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.scenarios import fault_cast, kill_report

LEASE_S = 20 * 10
"""Twenty of the ten seconds that MAIL_TIMEOUT is unless it is set."""
SLEPT_LEASE_S = 4
POINTS = ("after_claim", "after_renew", "smtp_content", "smtp_sender", "smtp_recipient")
ENQUIRIES = 26
"""More than a sweep takes in one transaction."""
IMPATIENT = """
from app.scheduler import process
from app.store.db import write_lock
process.PAUSE_AFTER_FAILURE_S, write_lock.LIMIT_S = 0.5, 1
"""


@pytest.fixture
def town(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Town]:
    with fault_cast.opened(database_url, tmp_path, mail) as opened:
        if not database.is_sqlite():
            # The server ends the transaction of a process that sleeps sooner, to spare us the wait.
            limit = "options=-c%20idle_in_transaction_session_timeout%3D1s"
            opened.environment["DATABASE_URL"] += ("&" if "?" in database_url else "?") + limit
        yield opened


def stopped(nursery: Nursery, point: str, **fate: Any) -> Child:
    """A scheduler that has stopped itself there."""
    child = nursery.start(SCHEDULER, point, by=signal.SIGSTOP, **fate)
    until(lambda: saw(nursery) and child.is_stopped)
    return child


def saw(nursery: Nursery) -> bool:
    nursery.look()
    return True


def wake(nursery: Nursery, child: Child) -> None:
    os.kill(child.pid, signal.SIGCONT)
    until(lambda: saw(nursery) and not child.is_stopped)


def end(nursery: Nursery, child: Child) -> None:
    os.kill(child.pid, signal.SIGTERM)
    until(lambda: saw(nursery) and child.exit_status is not None)
    assert child.exit_status == 0


def rows() -> list[dict[str, Any]]:
    """All that is stored of the emails."""
    with database.connection():
        return list(OutboxEmail.select().order_by(OutboxEmail.id).dicts())


def are_sent() -> bool:
    return all(row["status"] is OutboxStatus.SENT for row in rows())


def copies(town: Town) -> Counter[str]:
    return Counter(kill_report.header(mail, "Message-ID") for mail in town.mail.messages)


def logged(nursery: Nursery, event: str) -> int:
    return nursery.log().count(f"event={event} ")


@dataclass
class Night:
    """Schedulers that stop themselves, one after the other, in one town."""

    town: Town
    nursery: Nursery
    slept_lease_s: float = 0
    asked: int = 0

    def pass_by(self, point: str) -> list[int]:
        """How many copies came of either email of a booking whose scheduler stopped there.

        Another one sends them; then the stopped one wakes, finds that they are not its own any
        more, changes nothing of them, and goes on to send the next ones.
        """
        before = rows(), copies(self.town)
        lost, sent = (logged(self.nursery, f"email_{end}") for end in ("lease_lost", "sent"))
        self.ask()
        stale = stopped(self.nursery, point, lease_s=self.slept_lease_s)
        self.outlast_lease()
        other = self.nursery.start(SCHEDULER)
        until(are_sent)
        end(self.nursery, other)
        told = rows()
        wake(self.nursery, stale)
        until(lambda: logged(self.nursery, "email_lease_lost") == lost + 2)
        assert rows() == told
        assert logged(self.nursery, "email_sent") == sent + 2
        came = copies(self.town) - before[1]
        self.ask()
        until(are_sent)
        end(self.nursery, stale)
        assert rows()[: len(told)] == told
        assert logged(self.nursery, "email_sent") == sent + 4
        assert sum(copies(self.town).values()) == sum((before[1] + came).values()) + 2
        return sorted(came.values())

    def ask(self) -> None:
        with database.connection():
            fault_cast.ask(self.asked)
        self.asked += 1

    def outlast_lease(self) -> None:
        """Twice as long as a lease lasts, by the town's clock; or longer than one, by every."""
        if self.slept_lease_s:
            over_at = time.monotonic() + 1.25 * self.slept_lease_s
            until(lambda: time.monotonic() > over_at)
        else:
            self.town.pass_time(timedelta(seconds=2 * LEASE_S))


def test_stopped_before_the_end_of_a_message_it_wakes_to_emails_that_are_not_its_own_any_more(
    town: Town,
) -> None:
    with Nursery(town.environment, town.folder) as nursery:
        night = Night(town, nursery)
        for point in POINTS[: runs(2, len(POINTS))]:
            assert night.pass_by(point) == [1, 1], point


def test_stopped_after_the_servers_250_what_it_had_sent_comes_once_more_under_its_one_message_id(
    town: Town,
) -> None:
    with Nursery(town.environment, town.folder) as nursery:
        night = Night(town, nursery)
        assert night.pass_by("after_250") == [1, 2]
        if not database.is_sqlite():
            assert night.pass_by("before_settle") == [1, 2]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_stopped_with_the_one_right_to_write_it_keeps_its_email_and_sends_it_once(
    town: Town,
) -> None:
    with Nursery(town.environment, town.folder) as nursery:
        night = Night(town, nursery)
        night.ask()
        stale = stopped(nursery, "before_settle")
        night.outlast_lease()
        nursery.start(SCHEDULER)
        until(lambda: logged(nursery, "scheduler_started") == 2)
        wake(nursery, stale)
        until(are_sent)
    assert set(copies(town).values()) == {1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_counts_for_a_sleeper_is_the_time_that_really_passed(town: Town) -> None:
    with Nursery(town.environment, town.folder) as nursery:
        night = Night(town, nursery, SLEPT_LEASE_S)
        assert night.pass_by("smtp_content") == [1, 1]


@pytest.mark.parametrize(
    "database_url", runs(["postgresql"], ["sqlite", "postgresql"]), indirect=True
)
def test_a_sweep_stopped_in_its_middle_holds_up_no_answer_and_takes_each_booking_its_step_once(
    town: Town,
) -> None:
    with Nursery(town.environment, town.folder, IMPATIENT) as nursery:
        late(town, nursery)
        nursery.start(WEB)
        until(lambda: answers(town))
        stale = stopped(nursery, "before_commit", passage=2, table="timeline_entry")
        nursery.start(SCHEDULER)
        # Of SQLite it has the one right to write, so that nobody can take its place.
        body = request()
        assert ask(town, body) == (503 if database.is_sqlite() else 201)
        if not database.is_sqlite():
            until(lambda: steps()["late"] == ENQUIRIES)
        wake(nursery, stale)
        until(lambda: ask(town, body) == 201)
        each_step_was_taken_once(town, nursery, requested=ENQUIRIES + 1)


def late(town: Town, nursery: Nursery) -> None:
    """Enquiries that all have just become late, their requests in the therapists' hands."""
    with database.connection():
        for number in range(ENQUIRIES):
            fault_cast.ask(number)
    postman = nursery.start(SCHEDULER)
    until(are_sent)
    end(nursery, postman)
    town.pass_time(timedelta(hours=3, minutes=1))


def steps() -> Counter[str]:
    with database.connection():
        return Counter(entry.event for entry in TimelineEntry.select(TimelineEntry.event))


def each_step_was_taken_once(town: Town, nursery: Nursery, requested: int) -> None:
    until(lambda: steps() == {"requested": requested, "late": ENQUIRIES})
    until(are_sent)
    nursery.end_all()
    journal = kill_report.Journal.of(
        nursery.journalled("reached"),
        [*nursery.journalled("reply_lost"), *nursery.journalled("outlived")],
    )
    kill_report.check_copies(town.mail.messages, journal)
    kinds = Counter(row["kind"] for row in rows())
    assert kinds == {
        "booking_requested": requested,
        "booking_received": requested,
        "answer_late": ENQUIRIES,
        "answer_late_client": ENQUIRIES,
        "answer_late_ops": ENQUIRIES,
    }
    assert json.loads(town.mindsum("replay", "--json")) == {"differences": []}


def answers(town: Town) -> bool:
    try:
        return town.call("GET", "/healthz")[0] == 200
    except OSError:
        return False


def request() -> dict[str, Any]:
    """A request to one of those therapists whose enquiries are late."""
    return {
        "therapist": fault_cast.THERAPISTS[0],
        "client": {"name": "Eli", "email": "eli@clients.example", "timezone": "UTC"},
        "starts_at": (fault_cast.first_at() + timedelta(days=1)).isoformat(),
        "kind": "paid",
        "note": "",
    }


def ask(town: Town, body: dict[str, Any]) -> int:
    """Ask for it, as often as need be; the status."""
    return town.call("POST", "/api/v1/bookings", body, key="one")[0]

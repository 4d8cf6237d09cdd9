"""A scheduler is stopped for longer than its lease: what others do in that time stays."""

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

from app.store import claiming
from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus, TimelineEntry
from tests.harness.fork_supervisor import SCHEDULER, WEB, Child, ForkSupervisor
from tests.harness.processes import Site, is_ok
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.waiting import until
from tests.scenarios import fault_cast, kill_report

LEASE_S = claiming.LEASE.total_seconds()
SHORT_LEASE_S = 4
POINTS = ("after_claim", "smtp_content", "smtp_sender", "smtp_recipient")
ENQUIRIES = 26
"""More than a sweep handles in one transaction."""
IMPATIENT = """
from app.scheduler import process
from app.store.db import sqlite
process.PAUSE_AFTER_FAILURE_S, sqlite.WRITE_LOCK_S = 0.5, 1
"""


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    with fault_cast.opened(database_url, tmp_path, mail) as opened:
        if not database.is_sqlite():
            # The server ends the transaction of a stopped process sooner: shorter waits here.
            limit = "options=-c%20idle_in_transaction_session_timeout%3D1s"
            opened.environment["DATABASE_URL"] += ("&" if "?" in database_url else "?") + limit
        yield opened


def stopped(forks: ForkSupervisor, point: str, **fault: Any) -> Child:
    """Start a scheduler that stops itself at that point, and wait until it has."""
    child = forks.start(SCHEDULER, point, signal=signal.SIGSTOP, **fault)
    until(f"the scheduler to stop {point}", lambda: seen(forks, child), lambda c: c.is_stopped)
    return child


def seen(forks: ForkSupervisor, child: Child) -> Child:
    forks.read_reports()
    return child


def resume(forks: ForkSupervisor, child: Child) -> None:
    os.kill(child.pid, signal.SIGCONT)
    until("it to go on", lambda: seen(forks, child), lambda c: not c.is_stopped)


def end(forks: ForkSupervisor, child: Child) -> None:
    os.kill(child.pid, signal.SIGTERM)
    until("it to end", lambda: seen(forks, child), lambda c: c.exit_status is not None)
    assert child.exit_status == 0


def rows() -> list[dict[str, Any]]:
    """All columns of all outbox emails."""
    with database.connection():
        return list(OutboxEmail.select().order_by(OutboxEmail.id).dicts())


def await_sent() -> None:
    """Wait until every email is sent."""
    until("all emails to be sent", unsent, lambda left: not left)


def unsent() -> list[str]:
    return [row["kind"] for row in rows() if row["status"] is not OutboxStatus.SENT]


def copies(site: Site) -> Counter[str]:
    return Counter(kill_report.header(mail, "Message-ID") for mail in site.mail.messages)


def logged(forks: ForkSupervisor, event: str) -> int:
    return forks.log().count(f"event={event} ")


@dataclass
class StoppedSchedulers:
    """Schedulers of one site that stop themselves, one after the other."""

    site: Site
    forks: ForkSupervisor
    short_lease_s: float = 0
    requested: int = 0

    def copies_after(self, point: str) -> list[int]:
        """How many copies arrive of both emails of a booking whose scheduler stopped there.

        Another scheduler sends the emails. The stopped one resumes, finds that its leases are
        lost, leaves the rows unchanged, and sends the next emails.
        """
        before = rows(), copies(self.site)
        lost, sent = (logged(self.forks, f"email_{end}") for end in ("lease_lost", "sent"))
        self.ask()
        stopped_one = stopped(self.forks, point, lease_s=self.short_lease_s)
        self.outlast_lease()
        other = self.forks.start(SCHEDULER)
        await_sent()
        end(self.forks, other)
        sent_rows = rows()
        resume(self.forks, stopped_one)
        until(
            "two lost leases in the log",
            lambda: logged(self.forks, "email_lease_lost"),
            lambda count: count == lost + 2,
        )
        assert rows() == sent_rows
        assert logged(self.forks, "email_sent") == sent + 2
        came = copies(self.site) - before[1]
        self.ask()
        await_sent()
        end(self.forks, stopped_one)
        assert rows()[: len(sent_rows)] == sent_rows
        assert logged(self.forks, "email_sent") == sent + 4
        assert sum(copies(self.site).values()) == sum((before[1] + came).values()) + 2
        return sorted(came.values())

    def ask(self) -> None:
        with database.connection():
            fault_cast.ask(self.requested)
        self.requested += 1

    def outlast_lease(self) -> None:
        """Let a lease end: by moving the site's clock, or by waiting if leases are short."""
        if self.short_lease_s:
            over_at = time.monotonic() + 1.25 * self.short_lease_s
            until("the lease to be over", time.monotonic, lambda now: now > over_at)
        else:
            self.site.pass_time(timedelta(seconds=2 * LEASE_S))


def test_a_scheduler_stopped_within_a_message_leaves_the_emails_to_the_next_one(
    site: Site,
) -> None:
    with ForkSupervisor(site.environment, site.folder) as forks:
        stopping = StoppedSchedulers(site, forks)
        for point in POINTS[: runs(2, len(POINTS))]:
            assert stopping.copies_after(point) == [1, 1], point


def test_an_email_accepted_before_the_stop_is_repeated_under_the_same_message_id(
    site: Site,
) -> None:
    with ForkSupervisor(site.environment, site.folder) as forks:
        stopping = StoppedSchedulers(site, forks)
        assert stopping.copies_after("after_250") == [1, 2]
        if not database.is_sqlite():
            # Both are recorded together.
            assert stopping.copies_after("before_end") == [2, 2]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_scheduler_stopped_with_sqlites_write_lock_keeps_its_email_and_sends_it_once(
    site: Site,
) -> None:
    with ForkSupervisor(site.environment, site.folder) as forks:
        stopping = StoppedSchedulers(site, forks)
        stopping.ask()
        stopped_one = stopped(forks, "before_end")
        stopping.outlast_lease()
        forks.start(SCHEDULER)
        until(
            "a second scheduler",
            lambda: logged(forks, "scheduler_started"),
            lambda count: count == 2,
        )
        resume(forks, stopped_one)
        await_sent()
    assert set(copies(site).values()) == {1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_short_lease_ends_for_a_stopped_scheduler_by_the_time_that_passed(site: Site) -> None:
    with ForkSupervisor(site.environment, site.folder) as forks:
        stopping = StoppedSchedulers(site, forks, SHORT_LEASE_S)
        assert stopping.copies_after("smtp_content") == [1, 1]


@pytest.mark.parametrize(
    "database_url", runs(["postgresql"], ["sqlite", "postgresql"]), indirect=True
)
def test_a_sweep_stopped_in_its_middle_delays_no_request_and_takes_each_step_once(
    site: Site,
) -> None:
    with ForkSupervisor(site.environment, site.folder, IMPATIENT) as forks:
        make_late(site, forks)
        forks.start(WEB)
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        stopped_one = stopped(forks, "before_commit", occurrence=2, table="timeline_entry")
        forks.start(SCHEDULER)
        # On SQLite it holds the only write lock, so no other process can write.
        body = request()
        assert ask(site, body) == (503 if database.is_sqlite() else 201)
        if not database.is_sqlite():
            until("every step", steps, lambda taken: taken["late"] == ENQUIRIES)
        resume(forks, stopped_one)
        until("the request to be taken", lambda: ask(site, body), lambda status: status == 201)
        each_step_was_taken_once(site, forks, requested=ENQUIRIES + 1)


def make_late(site: Site, forks: ForkSupervisor) -> None:
    """Make enquiries late whose emails the therapists have received."""
    with database.connection():
        for number in range(ENQUIRIES):
            fault_cast.ask(number)
    scheduler = forks.start(SCHEDULER)
    await_sent()
    end(forks, scheduler)
    site.pass_time(timedelta(hours=3, minutes=1))


def steps() -> Counter[str]:
    with database.connection():
        return Counter(entry.event for entry in TimelineEntry.select(TimelineEntry.event))


def each_step_was_taken_once(site: Site, forks: ForkSupervisor, requested: int) -> None:
    expected = {"requested": requested, "late": ENQUIRIES}
    until("each step once", steps, lambda taken: taken == expected)
    await_sent()
    forks.stop_all()
    journal = kill_report.Journal.from_notes(
        forks.journal_entries("reached"),
        [*forks.journal_entries("reply_lost"), *forks.journal_entries("outlived")],
    )
    kill_report.check_copies(site.mail.messages, journal)
    kinds = Counter(row["kind"] for row in rows())
    assert kinds == {
        "booking_requested": requested,
        "booking_received": requested,
        "answer_late": ENQUIRIES,
        "answer_late_client": ENQUIRIES,
        "answer_late_ops": ENQUIRIES,
    }
    assert json.loads(site.mindsum("replay", "--json")) == {"differences": []}


def request() -> dict[str, Any]:
    """A request body for a therapist whose enquiries are late."""
    return {
        "therapist": fault_cast.THERAPISTS[0],
        "client": {"name": "Eli", "email": "eli@clients.example", "timezone": "UTC"},
        "starts_at": (fault_cast.first_at() + timedelta(days=1)).isoformat(),
        "kind": "paid",
        "note": "",
    }


def ask(site: Site, body: dict[str, Any]) -> int:
    """Send it under one idempotency key; the status."""
    return site.call("POST", "/api/v1/bookings", body, key="one")[0]

"""The scheduler's second process: it sends emails too, and ends with its scheduler."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.scheduler import delivery_worker
from app.services.bookings.request import BookingRequest, request_booking
from app.services.therapists import accounts
from tests.harness.processes import Site
from tests.harness.random_kill import children_of, proc_text
from tests.harness.smtp_server import MailServer
from tests.harness.waiting import PATIENCE_S, until

# However many cores there are.
PROGRAM = """
import sys
from app.scheduler import process
process.has_second_core = lambda: True
{}
sys.exit(process.main())
"""
SCHEDULER = PROGRAM.format("")
# Its first process sends nothing.
ONLY_SWEEPS = PROGRAM.format(
    "jobs = process.timetable\nprocess.timetable = lambda *given, **more: jobs(*given, **more)[:-1]"
)


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """A site with Asha, who is always available; no process runs yet."""
    hours = parse_windows("Mon-Sun 00:00-24:00")
    asha = accounts.NewTherapist("asha", "Asha Rao", "asha@t.example", "UTC", 6000, hours)
    accounts.add_therapist(asha, clock.now())
    yield Site(database_url, tmp_path, mail)
    clock.follow(None)


def ask(number: int) -> None:
    """A booking, whose two emails are due."""
    now = clock.now()
    starts_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=8 + number)
    dee = f"dee{number}@clients.example"
    wanted = BookingRequest("asha", "Dee Stone", dee, "UTC", starts_at, Kind.PAID)
    request_booking(wanted, via=Via.API, now=now)


def worker_of(site: Site, scheduler: subprocess.Popen[bytes]) -> int:
    """Wait until both work; the worker's process id."""
    events = ("event=scheduler_started", "event=delivery_worker_started")
    until("both to start", site.logs, lambda logs: all(event in logs for event in events))
    [worker] = children_of(scheduler.pid)
    return worker


def await_end(worker: int) -> None:
    until("the worker to end", lambda: proc_text(worker, "status"), lambda status: not status)


def await_messages(site: Site, count: int) -> None:
    until(f"{count} emails", lambda: len(site.mail.messages), lambda taken: taken == count)


def test_the_second_process_sends_emails_too(site: Site) -> None:
    with site.spawn("-c", ONLY_SWEEPS) as scheduler:
        worker_of(site, scheduler)
        for number in range(6):
            ask(number)
        await_messages(site, 12)
    assert scheduler.returncode == 0


def test_both_processes_stop_when_the_scheduler_is_stopped(site: Site) -> None:
    with site.spawn("-c", SCHEDULER) as scheduler:
        worker = worker_of(site, scheduler)
    assert scheduler.returncode == 0
    assert proc_text(worker, "status") == ""
    assert site.logs().count("event=scheduler_stopped") == 1
    assert site.logs().count("event=delivery_worker_stopped") == 1


def test_it_ends_when_its_scheduler_is_killed(site: Site) -> None:
    with site.spawn("-c", SCHEDULER) as scheduler:
        worker = worker_of(site, scheduler)
        scheduler.kill()
        scheduler.wait(PATIENCE_S)
        await_end(worker)
    assert site.logs().count("event=delivery_worker_stopped") == 1


def test_a_scheduler_whose_worker_is_killed_says_so_once_and_sends_alone(site: Site) -> None:
    with site.spawn("-c", SCHEDULER) as scheduler:
        worker = worker_of(site, scheduler)
        os.kill(worker, signal.SIGKILL)
        until("a line of the loss", site.logs, lambda logs: "event=delivery_worker_lost" in logs)
        for number in range(12):
            ask(number)
        await_messages(site, 24)
    assert site.logs().count("event=delivery_worker_lost") == 1
    assert scheduler.returncode == 0


@pytest.mark.parametrize(("cores", "expected"), [({0}, False), ({0, 1}, True), ({2, 5, 7}, True)])
def test_a_second_process_needs_a_second_core(
    monkeypatch: pytest.MonkeyPatch, cores: set[int], expected: bool
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: cores)
    assert delivery_worker.has_second_core() is expected


def test_other_systems_have_no_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not delivery_worker.has_second_core()

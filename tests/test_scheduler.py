"""The scheduler: one run catches up, two at once do nothing twice, a failing job stops no other."""

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import config
from app.config import Settings
from app.mailer import Mailer
from app.scheduler.process import run_once
from app.scheduler.timetable import timetable
from app.services.jobs import due
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.services.jobs.runner import JobRunner
from app.store import job_stats
from app.store.db import database
from app.store.models import Booking, Client, OutboxEmail, OutboxStatus, TimelineEntry
from tests.harness.processes import ROOT
from tests.harness.smtp_server import FaultyServer, unused_port
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.story import DEE, Story

MANY = runs(100, 2_000)

JOBS = [
    "remind_answers",
    "escalate_late",
    "expire_enquiries",
    "complete_sessions",
    "apply_standing",
    "remind_sessions",
    "purge",
    "deliver_outbox",
]


def test_the_timetable_lists_the_jobs_in_the_order_of_once(app: Flask) -> None:
    assert [job.name for job in timetable(app.extensions["mailer"])] == JOBS


SWEEPS = [name for name in JOBS if name not in ("purge", "deliver_outbox")]


def intervals(app: Flask) -> dict[str, float]:
    return {job.name: job.every_s for job in timetable(app.extensions["mailer"])}


def test_sweeps_run_every_three_seconds_unless_set_otherwise(
    app: Flask, settings: Settings
) -> None:
    assert {intervals(app)[name] for name in SWEEPS} == {3}
    config.use(settings.model_copy(update={"sweep_seconds": 1}))
    assert {intervals(app)[name] for name in SWEEPS} == {1}
    assert intervals(app)["deliver_outbox"] <= 0.5


@pytest.mark.both_databases
def test_after_an_outage_one_run_catches_up_and_sends_the_emails(story: Story, app: Flask) -> None:
    booking = story.ask()
    story.deliver()
    story.wait(hours=30)
    before = len(story.mail.messages)
    assert run_once(app) == 0
    kinds = [each.kind for each in story.mail.messages[before:]]
    assert sorted(kinds) == ["booking_expired", "enquiry_expired"]
    assert story.reload(booking).status == "expired"
    assert run_once(app) == 0
    assert len(story.mail.messages) == before + 2


def test_a_job_that_fails_stops_no_other_and_makes_once_exit_with_1(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_now: object) -> JobResult:
        raise RuntimeError("a fault")

    booking = story.ask()
    story.wait(hours=30)
    monkeypatch.setattr(due, "remind_answers", fail)
    assert run_once(app) == 1
    assert story.reload(booking).status == "expired"


ONE_REFUSED = JobResult(due=1, failed=1, refused=1)


@pytest.mark.parametrize(
    ("parts", "has_succeeded"),
    [
        ([JobResult(due=1, done=1), ONE_REFUSED], True),
        ([JobResult(due=1, failed=1), ONE_REFUSED], False),
        ([ONE_REFUSED, JobResult(due=2, done=1, failed=1), JobResult(due=1, done=1)], False),
    ],
)
def test_a_run_has_failed_where_it_is_our_fault_and_not_where_a_mail_server_refused(
    app: Flask, parts: list[JobResult], has_succeeded: bool
) -> None:
    job = Job("purge", 1, lambda _now: (part for part in parts))
    assert JobRunner(JobMonitor()).run(job) == has_succeeded
    (left,) = job_stats.all_jobs()
    assert (left.failed_runs, left.failed) == (
        not has_succeeded,
        sum(part.failed for part in parts),
    )


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("address", "reply", "exit_status"),
    [(DEE[1], "550 5.1.1 no such mailbox", 0), ("dee@clients.example\nBcc: eli@x.example", "", 1)],
    ids=["refused_by_the_server", "refused_by_us"],
)
def test_a_refused_address_is_no_failed_run_and_one_that_no_email_may_carry_is(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str],
    address: str, reply: str, exit_status: int,
) -> None:  # fmt: skip
    story.ask()
    Client.update(email=address).execute()
    with FaultyServer({f"rcpt {address}": reply} if reply else {}) as server:
        elsewhere = Flask("elsewhere")
        elsewhere.config.update(app.config, MAIL_PORT=server.port)
        elsewhere.extensions["mailer"] = Mailer(elsewhere)
        assert run_once(elsewhere) == exit_status
    delivery = next(each for each in job_stats.all_jobs() if each.name == "deliver_outbox")
    assert (delivery.runs, delivery.failed_runs, delivery.failed) == (1, exit_status, 1)
    # Two more tell the therapist and ops that the client cannot be reached.
    assert "job=deliver_outbox due=4 done=3 failed=1" in capsys.readouterr().err


def test_once_records_a_run_of_every_job(story: Story, app: Flask) -> None:
    run_once(app)
    run_once(app)
    left = job_stats.all_jobs()
    assert {each.name: each.runs for each in left} == dict.fromkeys(JOBS, 2)
    assert {each.last_finished_at for each in left} == {story.now}


def test_a_run_logs_what_it_did_and_nothing_if_nothing_was_due(
    capsys: pytest.CaptureFixture[str], story: Story, app: Flask
) -> None:
    run_once(app)
    capsys.readouterr()
    run_once(app)
    assert capsys.readouterr().err == ""
    booking = story.ask()
    story.deliver()
    story.wait(hours=3, minutes=1)
    capsys.readouterr()
    run_once(app)
    lines = capsys.readouterr().err.splitlines()
    late = next(line for line in lines if "event=late" in line)
    assert f"booking={booking.reference} therapist=asha" in late
    assert f"since={booking.answer_by.isoformat()}" in late
    assert "next=expire" in late
    assert "level=warning" in late
    job = next(line for line in lines if "job=escalate_late" in line)
    assert "due=1 done=1 failed=0 oldest_overdue_s=60.0 took_ms=" in job


def test_logs_name_no_person(capsys: pytest.CaptureFixture[str], story: Story, app: Flask) -> None:
    story.ask(note="Heliotrope")
    story.wait(hours=30)
    run_once(app)
    said = capsys.readouterr().err
    assert "expired" in said
    for private in ("Dee", "Stone", "Asha", "Rao", "@", "Heliotrope", "/link/"):
        assert private not in said


@pytest.mark.process
def test_two_schedulers_at_once_expire_each_of_many_enquiries_once(
    story: Story, app: Flask, database_url: str
) -> None:
    first = story.ask()
    many(first, MANY - 1)
    story.deliver()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "MAIL_PORT": str(unused_port()),
        "OUTBOX_RETRY_SECONDS": "3600",
    }
    once = [sys.executable, "scheduler.py", "--once"]
    both = [
        subprocess.Popen(once, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    for process in both:
        process.wait(PATIENCE_S)
    # Each leaves out what the other has locked at that moment; the next run takes it.
    subprocess.run(
        once, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False
    )
    # The machine's own clock is past the expiry of every one of them.
    events = Counter(line.event for line in TimelineEntry.select())
    assert events == {"requested": 1, "expired": MANY}
    kinds = Counter(row.kind for row in OutboxEmail.select() if row.status != OutboxStatus.SENT)
    assert kinds == {"booking_expired": MANY, "enquiry_expired": MANY}
    assert Booking.select().where(Booking.status == "expired").count() == MANY


def many(like: Booking, count: int) -> None:
    """As many more enquiries as old as `like`, written straight into the table."""
    row = Booking.select().where(Booking.id == like.id).dicts().get()
    del row["id"]
    rows: list[dict[str, Any]] = [
        {
            **row,
            "reference": f"MB-{number:06d}",
            "starts_at": like.starts_at + timedelta(minutes=number),
            "fee_minor": 0,
        }
        for number in range(count)
    ]
    with database.db.atomic():
        for start in range(0, count, 100):
            Booking.insert_many(rows[start : start + 100]).execute()

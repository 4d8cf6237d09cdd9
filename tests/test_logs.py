"""Logs: one line per event, as text or JSON, without personal data."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import structlog
from flask import Flask

from app import logs
from app.errors import SlotTaken
from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.services.jobs.runner import JobRunner
from app.store.models import SignIn
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import DEE, ELI, Story

NOTE = "I have not slept since the fire"
REASON = "I am at a funeral that day"
MESSAGE = "Please bring the letter from your doctor"

Lines = list[dict[str, Any]]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Any:
    """`read()` gives the JSON log lines since the last call."""

    def lines() -> Lines:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    logs.configure("json")
    capsys.readouterr()
    yield lines
    logs.configure("text")


def test_each_event_is_one_line_with_booking_and_therapist(story: Story, read: Any) -> None:
    logs.configure("json")
    booking = story.ask()
    story.accept(booking)
    assert [(line["event"], line["booking"], line["therapist"]) for line in read()] == [
        ("requested", booking.reference, "asha"),
        ("accepted", booking.reference, "asha"),
    ]


def test_a_repeated_answer_is_not_logged_again(story: Story, read: Any) -> None:
    logs.configure("json")
    booking = story.ask()
    story.accept(booking)
    read()
    story.accept(booking)
    assert read() == []


def test_a_move_that_was_rolled_back_is_not_logged(story: Story, read: Any) -> None:
    logs.configure("json")
    story.ask()
    read()
    with pytest.raises(SlotTaken):
        story.ask(client=ELI)
    assert read() == []


def test_lateness_is_a_warning_and_an_answer_is_not(story: Story, read: Any) -> None:
    logs.configure("json")
    booking = story.ask()
    story.wait(hours=3, seconds=1)
    story.sweep()
    levels = {line["event"]: line["level"] for line in read() if "booking" in line}
    assert levels == {"requested": "info", "late": "warning"}
    story.accept(booking)
    assert [line["level"] for line in read()] == ["info"]


def test_a_line_carries_the_time_of_the_application_s_clock(story: Story, read: Any) -> None:
    logs.configure("json")
    story.at(MONDAY + timedelta(hours=1))
    story.ask()
    assert [line["at"] for line in read()] == ["2026-11-02T10:00:00.000Z"]


def test_text_lines_hold_the_same_fields(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    capsys.readouterr()
    booking = story.ask()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("at=2026-11-02T09:00:00.000Z level=info event=requested ")
    assert f"booking={booking.reference} therapist=asha" in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_log_of_a_booking_s_life_holds_no_name_address_message_or_token(
    story: Story, capsys: pytest.CaptureFixture[str], log_format: Any
) -> None:
    logs.configure(log_format)
    accepted, declined = (
        story.ask(note=NOTE),
        story.ask("bran", starts_at=MONDAY + timedelta(days=2, hours=6), client=ELI, note=NOTE),
    )
    sent = story.sent()
    story.accept(accepted)
    messages.send(accepted, MESSAGE, author=Actor.THERAPIST, now=story.now)
    story.decline(declined, REASON)
    sent += story.sent()
    story.cancel(accepted, Actor.CLIENT)
    sent += story.sent()
    story.wait(days=3)
    story.sweep()
    log = capsys.readouterr().err
    texts = [each.parsed.get_body(("plain",)).get_content() for each in sent]
    tokens = set(re.findall(r"/link/[a-z-]+/([\w.\-]+)", "\n".join(texts)))
    assert len(tokens) > 5
    assert log.count("\n") > 10
    private = {*DEE[:2], *ELI[:2], "Dee", "Eli", "Asha Rao", "Bran Cole", "therapists.example"}
    assert [each for each in (*private, NOTE, REASON, MESSAGE, *tokens) if each in log] == []


def test_a_sign_in_leaves_neither_address_nor_key_in_the_log(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("text")
    client = story.app.test_client()
    story.app.config["WTF_CSRF_ENABLED"] = False
    client.post("/sign-in", data={"email": "asha@therapists.example"})
    assert len(story.sent()) == 1
    key = SignIn.get().key
    log = capsys.readouterr().err
    assert "asha@" not in log
    assert key not in log


def test_an_exception_is_logged_by_type_and_line_without_its_message(
    story: Story, read: Any
) -> None:
    logs.configure("json")
    try:
        int(NOTE)
    except ValueError:
        structlog.get_logger("mindsum").exception("sweep_failed", booking="MB-ABCDEF")
    (line,) = read()
    assert line["error"] == "ValueError"
    assert "test_logs.py:" in line["at_code"]
    assert NOTE not in json.dumps(line)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_value_with_line_breaks_stays_on_one_line(
    story: Story, capsys: pytest.CaptureFixture[str], log_format: Any
) -> None:
    logs.configure(log_format)
    capsys.readouterr()
    structlog.get_logger("mindsum").info("email_failed", why="450 a\r\nevent=forged\x1b[31m\u2028b")
    assert len(capsys.readouterr().err.splitlines()) == 1


def job_line(outcome: JobResult, read: Any) -> Lines:
    job = Job("expire_enquiries", 1, lambda now: (part for part in [outcome]))
    assert JobRunner(JobMonitor()).run(job) == (outcome.failed == 0)
    return [line for line in read() if line.get("job")]


def test_a_job_run_that_did_something_logs_counts_and_delay(app: Flask, at: Any, read: Any) -> None:
    logs.configure("json")
    at(MONDAY)
    (line,) = job_line(JobResult(3, 2, 1, MONDAY - timedelta(minutes=2)), read)
    assert line.pop("took_ms") >= 0
    assert line == {
        "at": "2026-11-02T09:00:00.000Z",
        "level": "warning",
        "event": "job",
        "job": "expire_enquiries",
        "due": 3,
        "done": 2,
        "failed": 1,
        "oldest_overdue_s": 120.0,
    }


def test_a_job_run_with_nothing_to_do_logs_nothing(app: Flask, at: Any, read: Any) -> None:
    logs.configure("json")
    at(MONDAY)
    assert job_line(JobResult(), read) == []

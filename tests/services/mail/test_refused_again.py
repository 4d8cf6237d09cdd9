"""A therapist who is refused again: ops is sent one email about it, and the log tells each time."""

import pytest
from flask import Flask

from app.services import auth
from app.store import requeue
from app.store.models import OutboxEmail
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import Story, sender_to, total

pytestmark = pytest.mark.both_databases

ASHA = "asha@therapists.example"
SCRIPT = {f"rcpt {ASHA}": "550 5.1.1 no such mailbox"}


def told(caplog: pytest.LogCaptureFixture) -> list[str | None]:
    """The booking of each line that says that a therapist cannot be reached."""
    lines = [each.msg for each in caplog.records if isinstance(each.msg, dict)]
    return [line.get("booking") for line in lines if line.get("event") == "therapist_unreachable"]


def alerts() -> int:
    return int(OutboxEmail.select().where(OutboxEmail.kind == "account_alert").count())


def test_a_second_refusal_of_an_enquiry_is_a_line_and_no_second_email(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    booking = story.ask()
    with FaultyServer(SCRIPT) as server:
        one = sender_to(app, server.port)
        total(one.deliver())
        requeue.retry(OutboxEmail.get(kind="booking_requested").id, story.now)
        total(one.deliver())
    assert told(caplog) == [booking.reference] * 2
    assert alerts() == 1


def test_a_second_refusal_of_an_account_is_a_line_and_no_second_email_while_one_waits(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    script = {**SCRIPT, "rcpt ops@mindsum.invalid": "450 4.2.1 not now"}
    with FaultyServer(script) as server:
        one = sender_to(app, server.port)
        total(one.deliver())
        requeue.retry(OutboxEmail.get(kind="sign_in").id, story.now)
        total(one.deliver())
    assert told(caplog) == [None] * 2
    assert alerts() == 1

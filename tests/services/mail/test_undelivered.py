"""Emails that cannot be handed over: no more to that address, and ops hears who waits for whom."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor
from app.services import auth, clients
from app.services.bookings import messages
from app.services.mail import undelivered
from app.services.mail.sender import OutboxSender
from app.store import outbox, requeue
from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus, Role, Suppression
from tests.harness.smtp_server import FaultyServer, MailServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total

pytestmark = pytest.mark.both_databases

ASHA = "asha@therapists.example"
OPS = "ops@mindsum.invalid"
NO_MAILBOX = "550 5.1.1 no such mailbox"


@contextmanager
def refusing(app: Flask, *addresses: str) -> Iterator[tuple[OutboxSender, FaultyServer]]:
    """A sender to a server that refuses those addresses for good."""
    with FaultyServer({f"rcpt {address}": NO_MAILBOX for address in addresses}) as server:
        yield sender_to(app, server.port), server


def statuses(kind: str) -> list[str]:
    rows = OutboxEmail.select().where(OutboxEmail.kind == kind).order_by(OutboxEmail.id)
    return [row.status.value for row in rows]


def suppressed() -> list[str]:
    return sorted(row.address_key for row in Suppression.select())


def events(caplog: pytest.LogCaptureFixture, level: str) -> list[dict[str, Any]]:
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line["level"] == level]


def test_ops_hears_at_once_that_a_therapist_cannot_be_asked(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    booking = story.ask()
    with refusing(app, ASHA) as (one, server):
        total(one.deliver())
        alert = next(each for each in server.messages if each.rcpt_tos == (OPS,))
    assert alert.parsed["X-Mindsum-Email"] == "account_alert"
    assert alert.parsed["X-Mindsum-Booking"] == booking.reference
    text = alert.parsed.get_body(("plain",)).get_content()
    assert "Our emails to asha do not arrive" in text
    assert booking.reference in text
    (line,) = events(caplog, "error")
    assert (line["event"], line["booking"], line["therapist"]) == (
        "therapist_unreachable", booking.reference, "asha",
    )  # fmt: skip
    assert "@" not in str(line)


def test_a_suppressed_address_is_not_offered_to_any_server_again(story: Story, app: Flask) -> None:
    first = story.ask()
    with refusing(app, ASHA) as (one, _):
        total(one.deliver())
    second = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    with refusing(app) as (one, server):
        total(one.deliver())
        reached = [each.rcpt_tos[0] for each in server.messages]
        assert ASHA not in str(server.commands)
    assert sorted(reached) == sorted([ELI[1], OPS])
    assert statuses("booking_requested") == ["failed", "failed"]
    last = OutboxEmail.get(booking=second, kind="booking_requested")
    assert last.last_error == "the address is suppressed: recipient: 550 5.1.1 no such mailbox"
    alerts = OutboxEmail.select().where(OutboxEmail.kind == "account_alert")
    assert {row.about for row in alerts} == {first.reference, second.reference}


def test_every_open_enquiry_is_told_once_when_the_address_stops_working(
    story: Story, app: Flask
) -> None:
    first = story.ask()
    second = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    answered = story.ask(client=ELI, starts_at=story.now + timedelta(hours=30))
    elsewhere = story.ask("bran", starts_at=story.now + timedelta(hours=54))
    story.accept(answered)
    story.deliver()
    story.wait(hours=2)
    story.sweep()
    with refusing(app, ASHA) as (one, server):
        total(one.deliver())
        total(one.deliver())
        alerts = [each.parsed for each in server.messages if each.rcpt_tos == (OPS,)]
    assert elsewhere.reference not in {each["X-Mindsum-Booking"] for each in alerts}
    assert sorted(each["X-Mindsum-Booking"] for each in alerts) == sorted(
        [first.reference, second.reference]
    )


def test_ops_hears_once_of_a_lost_therapist_and_their_sessions_where_nobody_waits(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    booking = story.ask()
    cancelled = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    story.accept(booking)
    story.accept(cancelled)
    story.deliver()
    story.cancel(cancelled, Actor.CLIENT)
    with refusing(app, ASHA) as (one, server):
        total(one.deliver())
        total(one.deliver())
        (alert,) = [each.parsed for each in server.messages if each.rcpt_tos == (OPS,)]
    assert suppressed() == [ASHA]
    text = alert.get_body(("plain",)).get_content()
    assert "Our emails to asha do not arrive" in text
    assert booking.reference in text
    (line,) = events(caplog, "error")
    assert (line["event"], line["therapist"]) == ("therapist_unreachable", "asha")


def test_each_time_that_the_address_stops_working_ops_hears_of_it(story: Story, app: Flask) -> None:
    for _ in range(2):
        auth.request_sign_in(ASHA, "/dashboard", story.now)
        with refusing(app, ASHA) as (one, _):
            total(one.deliver())
        requeue.retry(None, story.now)
        story.deliver()
    assert statuses("account_alert") == ["sent", "sent"]


def test_an_alert_of_an_address_that_is_tried_again_is_not_sent(story: Story, app: Flask) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    with refusing(app, ASHA, OPS) as (one, _):
        total(one.deliver())
    assert statuses("account_alert") == ["failed"]
    requeue.retry(None, story.now)
    story.deliver()
    assert statuses("account_alert") == ["skipped"]


def test_an_alert_that_has_become_untrue_is_not_sent(story: Story, app: Flask) -> None:
    booking = story.ask()
    with refusing(app, ASHA, OPS) as (one, _):
        total(one.deliver())
    story.withdraw(booking)
    requeue.retry(None, story.now)
    assert OPS not in [recipient for _, recipient in story.deliver()]
    assert statuses("account_alert") == ["skipped"]


def test_a_request_taken_back_does_not_hide_from_ops_that_the_address_is_dead(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    with refusing(app, ASHA, OPS) as (one, _):
        total(one.deliver())
    story.withdraw(booking)
    requeue.retry(OutboxEmail.get(kind="account_alert").id, story.now)
    assert OPS in [recipient for _, recipient in story.deliver()]


def test_a_refused_client_is_suppressed_and_ops_is_not_called(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, DEE[1]) as (one, _):
        total(one.deliver())
    assert suppressed() == [DEE[1]]
    assert statuses("booking_requested") == ["sent"]
    assert statuses("account_alert") == []


def test_the_address_of_ops_is_tried_every_time(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    story.ask()
    with refusing(app, ASHA, OPS) as (one, _):
        total(one.deliver())
    assert suppressed() == [ASHA]
    assert statuses("account_alert") == ["failed"]
    assert [line["event"] for line in events(caplog, "error")] == [
        "therapist_unreachable", "ops_unreachable",
    ]  # fmt: skip
    requeue.retry(None, story.now)
    assert OPS in [recipient for _, recipient in story.deliver()]


def test_a_retry_lifts_the_suppression_of_the_retried_address_alone(
    story: Story, app: Flask
) -> None:
    story.ask()
    with refusing(app, ASHA, DEE[1]) as (one, _):
        total(one.deliver())
    assert suppressed() == [ASHA, DEE[1]]
    assert requeue.retry(OutboxEmail.get(kind="booking_requested").id, story.now) == 1
    assert suppressed() == [DEE[1]]
    assert story.deliver() == [("booking_requested", ASHA)]
    assert requeue.retry(None, story.now) == 1
    assert suppressed() == []
    assert story.deliver() == [("booking_received", DEE[1])]


def test_a_retry_that_fails_again_calls_ops_no_second_time(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, ASHA) as (one, server):
        total(one.deliver())
        requeue.retry(None, story.now)
        total(one.deliver())
        assert [each.rcpt_tos[0] for each in server.messages].count(OPS) == 1
    assert statuses("booking_requested") == ["failed"]
    assert suppressed() == [ASHA]


def test_case_makes_no_other_address(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, DEE[1]) as (one, _):
        total(one.deliver())
    shouting = ("Dee Stone", DEE[1].upper(), DEE[2])
    story.ask("bran", client=shouting, starts_at=story.now + timedelta(hours=54))
    story.deliver()
    assert statuses("booking_received") == ["failed", "failed"]


def test_a_client_is_told_of_the_suppression_and_erasing_them_forgets_it(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    with refusing(app, DEE[1]) as (one, _):
        total(one.deliver())
    assert clients.export(DEE[1])["no_emails_because"] == "recipient: 550 5.1.1 no such mailbox"
    story.withdraw(booking)
    clients.erase(DEE[1], story.now)
    assert suppressed() == []


def test_a_held_outbox_sends_nothing_until_it_is_released(
    story: Story, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    story.ask()
    outbox.hold(story.now)
    held_at = story.now
    story.wait(seconds=30)
    outbox.hold(story.now)
    assert outbox.held_since() == held_at
    one = OutboxSender(story.app.extensions["mailer"], clock.now)
    for _ in range(3):
        assert total(one.deliver()).due == 0
        story.wait(seconds=25)
    assert mail.connections == 0
    told = [line for line in events(caplog, "warning") if line["event"] == "outbox_held"]
    assert [line["waiting"] for line in told] == [2]
    total(one.deliver())
    told = [line for line in events(caplog, "warning") if line["event"] == "outbox_held"]
    assert len(told) == 2
    assert outbox.release(story.now) == 2
    assert outbox.held_since() is None
    assert total(one.deliver()).done == 2


def test_a_hold_stops_a_sender_at_work_after_what_it_has_in_hand(story: Story) -> None:
    class Alarming(MailServer):
        """Somebody holds the outbox while the first message is on its way."""

        async def handle_DATA(self, *about: Any) -> str:  # noqa: N802 - aiosmtpd's name
            if not self.messages:
                await asyncio.to_thread(hold)
            return await super().handle_DATA(*about)

    def hold() -> None:
        with database.connection():
            outbox.hold(story.now)

    story.ask()
    with Alarming() as server:
        total(sender_to(story.app, server.port).deliver())
        assert len(server.messages) == 1 < OutboxEmail.select().count()


def test_a_server_that_lets_nobody_in_is_told_of_once_in_ten_minutes(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    story.ask()
    with FaultyServer({"auth": "535 5.7.8 wrong"}) as server:
        one = sender_to(app, server.port, MAIL_USERNAME="mindsum", MAIL_PASSWORD="wrong")
        for _ in range(20):
            total(one.deliver())
            story.wait(minutes=1)
        assert server.connections == 20
    told = [line for line in events(caplog, "error") if line["event"] == "outbox_paused"]
    assert len(told) == 2


def test_moves_go_on_while_the_outbox_is_held(story: Story) -> None:
    outbox.hold(story.now)
    booking = story.ask()
    story.accept(booking)
    messages.send(booking.reference, "Is the room on the ground floor?",
                  author=Actor.CLIENT, now=story.now)  # fmt: skip
    outbox.release(story.now)
    kinds = {kind for kind, _ in story.deliver()}
    assert kinds == {"booking_accepted", "session_confirmed", "new_message"}
    skipped = OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.SKIPPED)
    assert {row.kind for row in skipped} == {"booking_requested", "booking_received"}


def test_two_senders_who_meet_the_same_refusal_at_once_call_ops_once(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    ids = [
        outbox.enqueue(
            "streak_warning",
            Role.THERAPIST,
            therapist=booking.therapist,
            about=f"therapist-{number}",
            now=story.now,
        ).id
        for number in range(8)
    ]
    start = Barrier(len(ids))

    def fail(number: int) -> None:
        with database.connection():
            email = OutboxEmail.get_by_id(number)
            start.wait()
            refuse(email, story.now)

    refuse = database.in_transaction(
        lambda email, now: undelivered.follow_up(email, "gone", now, is_address_refused=True)
    )
    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(fail, ids))
    assert statuses("account_alert") == ["queued"]
    assert suppressed() == [ASHA]

"""Emails that a server refuses: their address is suppressed, and ops hears of each therapist."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier

import pytest
from flask import Flask

from app.mailer.replies import AddressFault
from app.rules.lifecycle import Actor
from app.services import auth
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.mail import undelivered
from app.services.mail.sender import OutboxSender
from app.store import outbox
from app.store.db import database
from app.store.models import OutboxEmail, Role, Suppression
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.services.mail.conftest import Logged

ASHA = "asha@therapists.example"
OPS = "ops@mindsum.invalid"
NO_MAILBOX = "550 5.1.1 no such mailbox"


@contextmanager
def refusing(app: Flask, *addresses: str) -> Iterator[tuple[OutboxSender, FaultyServer]]:
    """A sender, and its server that refuses those addresses for good."""
    with FaultyServer({f"rcpt {address}": NO_MAILBOX for address in addresses}) as server:
        yield sender_to(app, server.port), server


def statuses(kind: str) -> list[str]:
    rows = OutboxEmail.select().where(OutboxEmail.kind == kind).order_by(OutboxEmail.id)
    return [row.status.value for row in rows]


def suppressed() -> list[str]:
    return sorted(row.address_key for row in Suppression.select() if row.until)


@pytest.mark.both_databases
def test_ops_hears_at_once_that_a_request_did_not_reach_its_therapist(
    story: Story, app: Flask, logged: Logged
) -> None:
    booking = story.ask()
    with refusing(app, ASHA) as (sender, server):
        total(sender.deliver())
        alert = next(each for each in server.messages if each.rcpt_tos == (OPS,))
    assert alert.kind == "account_alert"
    assert alert.parsed["X-Mindsum-Booking"] == booking.reference
    text = alert.parsed.get_body(("plain",)).get_content()
    assert "Our emails to asha do not arrive" in text
    assert "mindsum therapist reachable asha" in text
    assert booking.reference in text
    (line,) = logged("therapist_unreachable")
    assert (line["level"], line["booking"], line["therapist"]) == (
        "error", booking.reference, "asha",
    )  # fmt: skip
    assert "@" not in str(line)


@pytest.mark.both_databases
def test_a_suppressed_address_is_not_offered_to_any_server_again(story: Story, app: Flask) -> None:
    first = story.ask()
    with refusing(app, ASHA) as (sender, _):
        total(sender.deliver())
    second = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    with refusing(app) as (sender, server):
        total(sender.deliver())
        reached = [each.rcpt_tos[0] for each in server.messages]
        assert ASHA not in str(server.commands)
    # The client is told twice: what was asked, and that the therapist cannot be reached.
    assert sorted(reached) == sorted([ELI[1], ELI[1], OPS])
    assert statuses("booking_requested") == ["failed", "failed"]
    last = OutboxEmail.get(booking=second, kind="booking_requested")
    assert last.last_error == "the address is suppressed: recipient: 550 5.1.1 no such mailbox"
    alerts = OutboxEmail.select().where(OutboxEmail.kind == "account_alert")
    assert {row.about for row in alerts} == {first.reference, second.reference}


@pytest.mark.both_databases
def test_ops_hears_once_of_each_open_enquiry_when_the_address_stops_working(
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
    with refusing(app, ASHA) as (sender, server):
        total(sender.deliver())
        total(sender.deliver())
        alerts = [each.parsed for each in server.messages if each.rcpt_tos == (OPS,)]
    assert elsewhere.reference not in {each["X-Mindsum-Booking"] for each in alerts}
    assert sorted(each["X-Mindsum-Booking"] for each in alerts) == sorted(
        [first.reference, second.reference]
    )


def test_ops_hears_once_of_an_unreachable_therapist_and_of_their_sessions(
    story: Story, app: Flask, logged: Logged
) -> None:
    booking = story.ask()
    cancelled = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    story.accept(booking)
    story.accept(cancelled)
    story.deliver()
    story.cancel(cancelled, Actor.CLIENT)
    with refusing(app, ASHA) as (sender, server):
        total(sender.deliver())
        total(sender.deliver())
        (alert,) = [each.parsed for each in server.messages if each.rcpt_tos == (OPS,)]
    assert suppressed() == [ASHA]
    text = alert.get_body(("plain",)).get_content()
    assert "Our emails to asha do not arrive" in text
    assert "mindsum therapist reachable asha" in text
    assert booking.reference in text
    (line,) = logged("therapist_unreachable")
    assert (line["level"], line["therapist"]) == ("error", "asha")


def test_ops_hears_each_time_that_an_address_stops_working(story: Story, app: Flask) -> None:
    for _ in range(2):
        auth.request_sign_in(ASHA, "/dashboard", story.now)
        with refusing(app, ASHA) as (sender, _):
            total(sender.deliver())
        outbox.retry_failed(None, story.now)
        story.deliver()
        story.wait(minutes=1)
    assert statuses("account_alert") == ["sent", "sent"]


def test_an_alert_about_an_address_that_is_tried_again_is_not_sent(
    story: Story, app: Flask
) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    with refusing(app, ASHA, OPS) as (sender, _):
        total(sender.deliver())
    assert statuses("account_alert") == ["failed"]
    outbox.retry_failed(None, story.now)
    story.deliver()
    assert statuses("account_alert") == ["skipped"]


def withdrawn_unheard(story: Story, app: Flask) -> None:
    """A request is withdrawn after its therapist and ops refused what was sent to them."""
    booking = story.ask()
    with refusing(app, ASHA, OPS) as (sender, _):
        total(sender.deliver())
    story.withdraw(booking)


def test_an_alert_about_a_withdrawn_request_is_skipped_once_an_email_arrives(
    story: Story, app: Flask
) -> None:
    withdrawn_unheard(story, app)
    outbox.retry_failed(OutboxEmail.get(kind="booking_requested").id, story.now)
    assert ("booking_withdrawn", ASHA) in story.deliver()
    outbox.retry_failed(None, story.now)
    assert OPS not in [recipient for _, recipient in story.deliver()]
    assert statuses("account_alert") == ["skipped"]


def test_an_alert_about_a_withdrawn_request_is_sent_while_the_address_is_dead(
    story: Story, app: Flask
) -> None:
    withdrawn_unheard(story, app)
    outbox.retry_failed(OutboxEmail.get(kind="account_alert").id, story.now)
    assert OPS in [recipient for _, recipient in story.deliver()]


def test_the_address_of_ops_is_tried_every_time(story: Story, app: Flask, logged: Logged) -> None:
    story.ask()
    with refusing(app, ASHA, OPS) as (sender, _):
        total(sender.deliver())
    assert suppressed() == [ASHA]
    assert statuses("account_alert") == ["failed"]
    assert len(logged("therapist_unreachable")) == len(logged("ops_unreachable")) == 1
    outbox.retry_failed(None, story.now)
    assert OPS in [recipient for _, recipient in story.deliver()]


def test_a_retry_lifts_the_suppression_of_the_retried_address_alone(
    story: Story, app: Flask
) -> None:
    story.ask()
    with refusing(app, ASHA, DEE[1]) as (sender, _):
        total(sender.deliver())
    assert suppressed() == [ASHA, DEE[1]]
    assert outbox.retry_failed(OutboxEmail.get(kind="booking_requested").id, story.now) == 1
    assert suppressed() == [DEE[1]]
    assert story.deliver() == [("booking_requested", ASHA)]
    assert outbox.retry_failed(None, story.now) == 3
    assert suppressed() == []
    assert ("booking_received", DEE[1]) in story.deliver()


def test_a_retry_that_fails_again_sends_no_second_alert(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, ASHA) as (sender, server):
        total(sender.deliver())
        outbox.retry_failed(None, story.now)
        total(sender.deliver())
        assert [each.rcpt_tos[0] for each in server.messages].count(OPS) == 1
    assert statuses("booking_requested") == ["failed"]
    assert suppressed() == [ASHA]


def test_a_second_refusal_of_an_enquiry_is_logged_and_sends_no_second_alert(
    story: Story, app: Flask, logged: Logged
) -> None:
    booking = story.ask()
    with refusing(app, ASHA) as (sender, _):
        total(sender.deliver())
        outbox.retry_failed(OutboxEmail.get(kind="booking_requested").id, story.now)
        total(sender.deliver())
    lines = logged("therapist_unreachable")
    assert [line["booking"] for line in lines] == [booking.reference] * 2
    assert len(statuses("account_alert")) == 1


@pytest.mark.both_databases
def test_a_second_refusal_of_an_account_sends_no_second_alert_while_one_waits(
    story: Story, app: Flask, logged: Logged
) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    script = {f"rcpt {ASHA}": NO_MAILBOX, f"rcpt {OPS}": "450 4.2.1 not now"}
    with FaultyServer(script) as server:
        sender = sender_to(app, server.port)
        total(sender.deliver())
        outbox.retry_failed(OutboxEmail.get(kind="sign_in").id, story.now)
        total(sender.deliver())
    assert len(logged("therapist_unreachable")) == 2
    assert len(statuses("account_alert")) == 1


def test_booking_again_in_other_letter_case_has_the_address_tried_again(
    story: Story, app: Flask
) -> None:
    story.ask()
    with refusing(app, DEE[1]) as (sender, _):
        total(sender.deliver())
    shouting = ("Dee Stone", DEE[1].upper(), DEE[2])
    story.ask("bran", client=shouting, starts_at=story.now + timedelta(hours=54))
    assert suppressed() == []
    story.deliver()
    assert statuses("booking_received") == ["failed", "sent"]


def test_an_export_shows_the_suppression_and_erasing_the_client_removes_it(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    with refusing(app, DEE[1]) as (sender, _):
        total(sender.deliver())
    exported = export_client(DEE[1], story.now)
    assert exported["no_emails_because"] == "recipient: 550 5.1.1 no such mailbox"
    story.withdraw(booking)
    erase_client(DEE[1], story.now)
    assert suppressed() == []


@pytest.mark.both_databases
def test_many_refusals_of_one_address_at_once_send_one_alert(story: Story, app: Flask) -> None:
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
        lambda email, now: undelivered.follow_up(email, "gone", now, fault=AddressFault.DEAD)
    )
    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(fail, ids))
    assert statuses("account_alert") == ["queued"]
    assert suppressed() == [ASHA]

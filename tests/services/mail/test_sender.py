"""The outbox under a good and a bad mail server: at least once, in order, never stale."""

import re
import threading
from datetime import timedelta

import pytest
from flask import Flask

from app.services import auth
from app.services.mail import backoff
from app.store import outbox, requeue
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus, Role, SignIn
from tests.harness.smtp_server import Fault, FaultyServer, MailServer, unused_port
from tests.scenarios.story import ELI, Story, sender_to, total

pytestmark = pytest.mark.both_databases


def emails() -> list[tuple[str, str, int]]:
    rows = OutboxEmail.select().order_by(OutboxEmail.id)
    return [(row.kind, row.status.value, row.attempts) for row in rows]


def test_an_email_carries_the_same_message_id_on_every_try(story: Story, app: Flask) -> None:
    story.ask()
    with FaultyServer({"dot": [Fault.DROP]}) as server:
        one = sender_to(app, server.port)
        for _ in range(3):
            total(one.deliver())
            story.wait(minutes=5)
        ids = [each.parsed["Message-ID"] for each in server.messages]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_a_refused_connection_is_tried_again_later_and_burns_only_the_first(
    story: Story, app: Flask
) -> None:
    story.ask()
    one = sender_to(app, unused_port())
    run = total(one.deliver())
    assert (run.due, run.done) == (2, 0)
    assert emails() == [("booking_requested", "queued", 1), ("booking_received", "queued", 0)]
    assert total(one.deliver()).due == 0
    story.wait(minutes=2)
    assert len(story.deliver()) == 2


def test_a_permanent_refusal_fails_at_once_and_can_be_retried(story: Story, app: Flask) -> None:
    story.ask()
    refusal = {"rcpt": "550 5.1.1 no such mailbox"}
    with FaultyServer(refusal) as server:
        total(sender_to(app, server.port).deliver())
    assert [status for _, status, _ in emails()] == ["failed"] * 3
    assert "550" in OutboxEmail.get().last_error
    assert "@" not in OutboxEmail.get().last_error
    # The third is the alert to ops that the therapist cannot be asked.
    assert requeue.retry(None, story.now) == 3
    assert len(story.deliver()) == 3


def test_a_wrong_password_pauses_the_queue_and_burns_no_attempt(story: Story, app: Flask) -> None:
    story.ask()
    refusal = {"mail": "530 5.7.0 authentication required"}
    with FaultyServer(refusal) as server:
        total(sender_to(app, server.port).deliver())
    assert [(status, tries) for _, status, tries in emails()] == [("queued", 0)] * 2


def test_after_a_day_of_temporary_failures_an_email_fails_where_ops_sees_it(
    story: Story, app: Flask
) -> None:
    auth.request_sign_in("asha@therapists.example", "/dashboard", story.now)
    story.ask()
    booking = story.ask("bran", starts_at=story.now + timedelta(hours=54), client=ELI)
    story.deliver()
    story.decline(booking)
    refusal = {"rcpt": "451 4.3.0 later"}
    with FaultyServer(refusal) as server:
        one = sender_to(app, server.port)
        for _ in range(60):
            story.wait(minutes=61)
            total(one.deliver())
    ended = {(kind, status) for kind, status, _ in emails() if "declined" in kind}
    assert ended == {("booking_declined", "failed"), ("enquiry_declined", "failed")}


def test_emails_of_one_thread_keep_their_order_when_the_first_must_wait(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    story.decline(booking)
    OutboxEmail.update(due_at=story.now + timedelta(minutes=5)).where(
        OutboxEmail.kind == "booking_declined"
    ).execute()
    outbox.enqueue("new_message", "client", booking=booking, now=story.now)
    assert story.deliver() == [("enquiry_declined", "asha@therapists.example")]
    story.wait(minutes=5)
    assert [kind for kind, _ in story.deliver()] == ["booking_declined", "new_message"]


def test_a_claimed_email_is_nobody_elses_until_its_lease_runs_out(story: Story) -> None:
    story.ask()
    first = outbox.claim(story.now, 10)
    assert len(first) == 2
    assert outbox.claim(story.now, 10) == []
    story.wait(minutes=10)
    second = outbox.claim(story.now, 10)
    assert len(second) == 2
    assert not outbox.renew(first[0], story.now)
    assert not outbox.settle(first[0], OutboxStatus.SENT, now=story.now)
    assert outbox.settle(second[0], OutboxStatus.SENT, now=story.now)


def test_an_email_whose_lease_runs_out_while_it_is_sent_is_withheld_and_sent_again(
    story: Story, app: Flask
) -> None:
    class Delaying(MailServer):
        """Takes longer over the first recipient than a lease lasts, by our clock."""

        async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
            if not envelope.rcpt_tos and story.now < late_at:
                story.at(late_at)
            envelope.rcpt_tos.append(address)
            return "250 fine"

    story.ask()
    late_at = story.now + outbox.lease() + timedelta(seconds=1)
    with Delaying() as server:
        run = total(sender_to(app, server.port).deliver())
        assert (run.due, run.done) == (3, 2)
        taken = [each.parsed["X-Mindsum-Email"] for each in server.messages]
    assert taken == ["booking_received", "booking_requested"]
    assert {row.status.value for row in OutboxEmail.select()} == {"sent"}
    outcomes = [row.outcome.value for row in DeliveryAttempt.select().order_by(DeliveryAttempt.id)]
    assert outcomes == ["lost", "sent", "sent"]


def test_several_senders_at_once_send_each_email_once_and_each_thread_in_order(
    story: Story, app: Flask
) -> None:
    for days in range(2, 12):
        booking = story.ask(starts_at=story.now.replace(hour=10) + timedelta(days=days))
        story.accept(booking)
        for role in (Role.THERAPIST, Role.CLIENT):
            outbox.enqueue("new_message", role, booking=booking, now=story.now)
    one = sender_to(app, story.mail.port)

    def work() -> None:
        with database.connection():
            total(one.deliver())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [row for row in OutboxEmail.select().order_by(OutboxEmail.id) if row.status == "sent"]
    assert len(sent) == len(story.mail.messages) == 40
    threads_of_mail: dict[tuple[str, str], list[str]] = {}
    for each in story.mail.messages:
        about = each.parsed["X-Mindsum-Booking"], each.rcpt_tos[0]
        threads_of_mail.setdefault(about, []).append(each.parsed["X-Mindsum-Email"])
    in_order = ["session_confirmed", "new_message"], ["booking_accepted", "new_message"]
    assert all(kinds in in_order for kinds in threads_of_mail.values())


@pytest.mark.parametrize("minutes", [14, 15])
def test_a_sign_in_older_than_fifteen_minutes_is_not_sent(story: Story, minutes: int) -> None:
    auth.request_sign_in("ASHA@therapists.example", "/dashboard", story.now)
    story.wait(minutes=minutes)
    assert len(story.deliver()) == (1 if minutes < 15 else 0)


def test_the_database_holds_no_live_token(story: Story) -> None:
    story.ask()
    auth.request_sign_in("asha@therapists.example", "/dashboard", story.now)
    tokens = {
        token
        for each in story.sent()
        for token in re.findall(
            r"/link/[a-z-]+/([\w.\-]+)", each.parsed.get_body(("plain",)).get_content()
        )
    }
    assert len(tokens) >= 5
    rows = " ".join(str(row) for row in [*OutboxEmail.select().dicts(), *SignIn.select().dicts()])
    assert not any(token in rows for token in tokens)


def test_the_wait_doubles_with_jitter_and_never_exceeds_an_hour() -> None:
    for attempt in range(1, 40):
        wait = backoff.retry_wait(attempt, 30).total_seconds()
        ideal = min(30 * 2 ** (attempt - 1), 3600)
        assert 0.8 * ideal <= wait <= 1.2 * ideal

"""Sending: at least once under one Message-ID, in order, and nothing that is not true any more."""

import re
import threading
from datetime import timedelta
from typing import Any, get_args

import pytest
from flask import Flask

from app import clock
from app.errors import StoreUnavailable
from app.services import auth
from app.services.clients.erase import erase_client
from app.services.mail import expiry, leases, results
from app.services.mail import sender as sender_module
from app.store import claiming, outbox
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus, Role, SignIn
from emails.kinds import KINDS, Condition
from tests.harness.smtp_server import PATIENCE_S, Fault, FaultyServer, MailServer, unused_port
from tests.scenarios.story import DEE, ELI, Story, sender_to, sending_in_thread, total
from tests.services.mail.conftest import Logged


def emails() -> list[tuple[str, str, int]]:
    rows = OutboxEmail.select().order_by(OutboxEmail.id)
    return [(row.kind, row.status.value, row.attempts) for row in rows]


def test_an_email_carries_the_same_message_id_on_every_try(story: Story, app: Flask) -> None:
    story.ask()
    with FaultyServer({"dot": [Fault.DROP]}) as server:
        sender = sender_to(app, server.port)
        for _ in range(3):
            total(sender.deliver())
            story.wait(minutes=5)
        ids = [each.parsed["Message-ID"] for each in server.messages]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_a_refused_connection_is_tried_again_later_and_costs_only_the_first_an_attempt(
    story: Story, app: Flask
) -> None:
    story.ask()
    sender = sender_to(app, unused_port())
    run = total(sender.deliver())
    assert (run.due, run.done) == (2, 0)
    assert emails() == [("booking_requested", "queued", 1), ("booking_received", "queued", 0)]
    assert total(sender.deliver()).due == 0
    story.wait(minutes=2)
    assert len(story.deliver()) == 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.both_databases
def test_the_first_hand_over_counts_even_if_the_rest_was_not_recorded(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking, handed_over_at = story.ask(), story.now

    def kill(_ended: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(results, "_record", kill)
        with pytest.raises(Killed):
            story.deliver()
    assert {status for _, status, _ in emails()} == {"sending"}
    assert story.reload(booking).handed_over_at == handed_over_at
    story.wait(minutes=1)
    assert len(story.deliver()) == 2
    assert story.reload(booking).handed_over_at == handed_over_at


@pytest.mark.both_databases
def test_a_permanent_refusal_fails_at_once_and_can_be_retried(story: Story, app: Flask) -> None:
    story.ask()
    refusal = {"rcpt": "550 5.1.1 no such mailbox"}
    with FaultyServer(refusal) as server:
        total(sender_to(app, server.port).deliver())
    # Also what tells client, therapist and ops that the others cannot be reached.
    assert {status for _, status, _ in emails()} == {"failed"}
    assert "550" in OutboxEmail.get().last_error
    assert "@" not in OutboxEmail.get().last_error
    assert outbox.retry_failed(None, story.now) == len(emails())
    assert {kind for kind, _ in story.deliver()} >= {"booking_requested", "booking_received"}


@pytest.mark.both_databases
def test_a_wrong_password_pauses_the_queue_and_costs_no_attempt(story: Story, app: Flask) -> None:
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
        sender = sender_to(app, server.port)
        for _ in range(5):
            story.wait(hours=8)
            total(sender.deliver())
    ended = {(kind, status) for kind, status, _ in emails() if "declined" in kind}
    assert ended == {("booking_declined", "failed"), ("enquiry_declined", "failed")}


@pytest.mark.both_databases
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


@pytest.mark.both_databases
def test_a_claimed_email_belongs_to_one_worker_until_its_lease_runs_out(story: Story) -> None:
    story.ask()
    first = claiming.claim(story.now, 10)
    assert len(first) == 2
    assert claiming.claim(story.now, 10) == []
    story.wait(minutes=10)
    second = claiming.claim(story.now, 10)
    assert len(second) == 2
    assert not claiming.renew(first, story.now)
    assert not claiming.end_claim(first[0], OutboxStatus.SENT, now=story.now)
    assert claiming.end_claim(second[0], OutboxStatus.SENT, now=story.now)


@pytest.mark.both_databases
def test_an_email_whose_lease_runs_out_while_it_is_sent_is_withheld_and_sent_again(
    story: Story, app: Flask
) -> None:
    story.ask()
    late_at = story.now + claiming.LEASE + timedelta(seconds=1)
    with MailServer(on_recipient=lambda _: story.at(late_at) and None) as server:
        result = total(sender_to(app, server.port).deliver())
        taken = [each.kind for each in server.messages]
    assert (result.due, result.done) == (4, 2)
    assert sorted(taken) == ["booking_received", "booking_requested"]
    assert {row.status.value for row in OutboxEmail.select()} == {"sent"}
    outcomes = [row.outcome.value for row in DeliveryAttempt.select().order_by(DeliveryAttempt.id)]
    assert outcomes == ["lost", "lost", "sent", "sent"]


@pytest.mark.both_databases
def test_an_email_that_another_worker_claims_while_it_is_sent_is_withheld(
    story: Story, app: Flask
) -> None:
    story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_received").execute()
    # Another machine's clock may be ahead of ours.
    ahead = story.now + claiming.LEASE

    def claim(_address: str) -> None:
        with app.app_context(), database.connection():
            assert len(claiming.claim(ahead, 10)) == 1

    with MailServer(on_recipient=claim) as server:
        assert total(sender_to(app, server.port).deliver()).done == 0
        assert server.messages == []
    row = OutboxEmail.get()
    assert (row.status.value, row.due_at) == ("sending", ahead + claiming.LEASE)


@pytest.mark.both_databases
def test_an_email_is_recorded_as_sent_when_a_lost_database_is_back(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    story.ask()
    record, failures = results.record, [StoreUnavailable("the database is away")] * 3

    def record_later(*arguments: Any) -> list[results.Result]:
        if failures:
            raise failures.pop()
        return record(*arguments)

    monkeypatch.setattr(results, "record", record_later)
    monkeypatch.setattr(sender_module, "STORE_RETRY_S", 0)
    assert len(story.deliver()) == 2
    assert emails() == [("booking_requested", "sent", 1), ("booking_received", "sent", 1)]
    assert len(logged("email_unsettled")) == 3


@pytest.mark.both_databases
def test_an_email_that_is_claimed_again_before_it_is_recorded_is_not_sent_again(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_received").execute()
    sender = sender_to(app, story.mail.port)
    record, outages = results.record, [claiming.LEASE + timedelta(seconds=1)]

    def record_after_outage(*arguments: Any) -> list[results.Result]:
        if outages:
            story.at(story.now + outages.pop())
            with sending_in_thread(app, sender):
                pass
            raise StoreUnavailable("the database is away")
        return record(*arguments)

    monkeypatch.setattr(results, "record", record_after_outage)
    monkeypatch.setattr(sender_module, "STORE_RETRY_S", 0)
    total(sender.deliver())
    assert len(story.mail.messages) == 1
    assert emails() == [("booking_requested", "sent", 2)]


def test_a_lease_is_renewed_for_as_long_as_the_server_takes(
    story: Story, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ask()
    renewed = threading.Event()
    renew = claiming.renew

    def note_renewal(*arguments: Any) -> int:
        count = renew(*arguments)
        renewed.set()
        return count

    monkeypatch.setattr(claiming, "renew", note_renewal)
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    due_at = story.now + 2 * claiming.LEASE

    def wait_for_renewal() -> None:
        if story.now < due_at:
            # Almost the whole lease goes by before the first message is taken.
            story.at(due_at - claiming.LEASE - timedelta(milliseconds=1))
            renewed.clear()
            assert renewed.wait(PATIENCE_S)
            story.at(due_at)

    with MailServer(on_message=wait_for_renewal) as server:
        total(sender_to(app, server.port).deliver())
        assert len(server.messages) == 2
    assert {status for _, status, _ in emails()} == {"sent"}


@pytest.mark.parametrize("leap", [timedelta(hours=-5), timedelta(minutes=-1), timedelta(hours=3)])
def test_a_leap_of_the_clock_while_the_server_answers_sends_nothing_again(
    story: Story, app: Flask, leap: timedelta
) -> None:
    story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_received").execute()
    has_message, may_answer = threading.Event(), threading.Event()

    def answer_the_first_later() -> None:
        if not has_message.is_set():
            has_message.set()
            may_answer.wait(PATIENCE_S)

    with MailServer(on_message=answer_the_first_later) as server:
        sender = sender_to(app, server.port)
        with sending_in_thread(app, sender):
            assert has_message.wait(PATIENCE_S)
            story.at(story.now + leap)
            with sending_in_thread(app, sender):
                pass
            may_answer.set()
        for _ in range(3):
            total(sender.deliver())
            story.wait(minutes=10)
        assert len(server.messages) == 1
    assert emails()[0][:2] == ("booking_requested", "sent")


@pytest.mark.both_databases
def test_another_email_under_the_id_of_one_that_was_taken_is_sent(story: Story, app: Flask) -> None:
    story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_received").execute()

    def claim() -> None:
        with app.app_context(), database.connection():
            claiming.claim(story.now + claiming.LEASE, 10)

    with MailServer(on_message=claim) as server:
        sender = sender_to(app, server.port)
        assert total(sender.deliver()).done == 0
        story.wait(hours=1)
        # As in an older database that was restored and went on.
        OutboxEmail.update(created_at=story.now).execute()
        total(sender.deliver())
        assert len(server.messages) == 2


@pytest.mark.both_databases
def test_an_email_to_a_client_who_is_erased_while_it_is_sent_is_withheld(
    story: Story, app: Flask
) -> None:
    booking = story.ask()
    story.deliver()
    story.withdraw(booking)

    def erase(address: str) -> None:
        if address == DEE[1]:
            with app.app_context(), database.connection():
                erase_client(DEE[1], clock.now())

    with MailServer(on_recipient=erase) as server:
        total(sender_to(app, server.port).deliver())
        assert [each.rcpt_tos for each in server.messages] == [("asha@therapists.example",)]
    assert OutboxEmail.get(OutboxEmail.kind == "withdrawal_receipt").status == "skipped"


@pytest.mark.both_databases
def test_several_senders_at_once_send_each_email_once_and_each_thread_in_order(
    story: Story, app: Flask
) -> None:
    for days in range(2, 7):
        booking = story.ask(starts_at=story.now.replace(hour=10) + timedelta(days=days))
        story.accept(booking)
        for role in (Role.THERAPIST, Role.CLIENT):
            outbox.enqueue("new_message", role, booking=booking, now=story.now)
    sender = sender_to(app, story.mail.port)

    def work() -> None:
        with database.connection():
            total(sender.deliver())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [row for row in OutboxEmail.select().order_by(OutboxEmail.id) if row.status == "sent"]
    assert len(sent) == len(story.mail.messages) == 20
    threads_of_mail: dict[tuple[str, str], list[str]] = {}
    for each in story.mail.messages:
        about = each.parsed["X-Mindsum-Booking"], each.rcpt_tos[0]
        threads_of_mail.setdefault(about, []).append(each.kind)
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


def test_each_condition_of_an_email_kind_has_its_check() -> None:
    named = {row.lasts for row in KINDS.values() if isinstance(row.lasts, str)}
    assert named == set(get_args(Condition)) == set(expiry._CHECKS)

"""When the outbox counts as stuck."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.services.mail.sender import OutboxSender
from app.store import attempts, claiming, outbox
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail, Outcome, Role
from tests.harness.ops_pages import (
    assert_not_ready,
    assert_says,
    beat,
    failing_checks,
    queue_email,
    scrape,
)
from tests.harness.smtp_server import FaultyServer, unused_port
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


def wait_with(one: OutboxSender, at: Any, minutes: int) -> None:
    """Time goes on by minutes, and what is due is tried in each; the scheduler is well."""
    for _ in range(minutes):
        at(clock.now() + timedelta(minutes=1))
        total(one.deliver())
    beat()


@pytest.mark.parametrize(("age_s", "failed"), [(600, set()), (601, {"outbox"})])
def test_an_outbox_is_stuck_after_ten_minutes(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    queue_email()
    at(MONDAY + timedelta(seconds=age_s))
    beat()
    assert set(failing_checks(visitor)) == failed


@pytest.mark.both_databases
def test_an_outbox_that_a_mail_server_refuses_for_hours_is_stuck(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9))
    wait_with(sender_to(app, unused_port()), at, 180)
    assert {each.outcome for each in DeliveryAttempt.select()} == {Outcome.DEFERRED}
    assert claiming.oldest_due_at(clock.now() - timedelta(minutes=10)) is None
    assert scrape(visitor)["mindsum_outbox_oldest_due_age_seconds"] == 3 * 3600
    first = OutboxEmail.select().order_by(OutboxEmail.id).first()
    show = f"mindsum outbox show {first.id}"
    assert_not_ready(visitor, "outbox", "waits 10800 s", "none was sent for 10 min", show)


def test_an_outbox_whose_every_address_is_put_off_is_stuck(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    with FaultyServer({"rcpt": "451 4.3.0 temporary lookup failure"}) as server:
        one = sender_to(app, server.port)
        wait_with(one, at, 10)
        assert failing_checks(visitor) == {}
        wait_with(one, at, 1)
    assert all("451 4.3.0" in row.last_error for row in OutboxEmail.select())
    assert_not_ready(visitor, "outbox", "waits 660 s", "2 addresses", "mindsum outbox list")


def test_two_full_mailboxes_do_not_make_the_site_unready_while_others_get_their_emails(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    full = {f"rcpt {DEE[1]}": "452 4.2.2 full", "rcpt asha@therapists.example": "452 4.2.2 full"}
    with FaultyServer(full) as server:
        one = sender_to(app, server.port)
        wait_with(one, at, 5)
        story.ask("bran", client=ELI, starts_at=MONDAY + timedelta(days=3, hours=9))
        wait_with(one, at, 60)
    assert failing_checks(visitor) == {}


@pytest.mark.both_databases
def test_one_address_may_put_off_all_its_emails_but_hides_no_dead_mail_server(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    booking = story.ask()
    story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9))
    with FaultyServer({f"rcpt {DEE[1]}": "450 4.2.0 greylisted"}) as server:
        one = sender_to(app, server.port)
        total(one.deliver())
        outbox.enqueue("new_message", Role.CLIENT, booking=booking, now=clock.now())
        wait_with(one, at, 60)
    # Behind one that is put off, the message's email has not been tried itself.
    waiting = OutboxEmail.select().where(OutboxEmail.status == "queued").order_by(OutboxEmail.id)
    assert [row.last_error for row in waiting] == ["recipient: 450 4.2.0 greylisted"] * 2 + [None]
    assert failing_checks(visitor) == {}
    assert_says(visitor, "outbox", "waits 3600 s", "not stuck", "mindsum outbox show ")
    # Its next try, which would meet the dead server as well, is far off.
    OutboxEmail.update(due_at=clock.now() + timedelta(hours=1)).execute()
    story.ask(client=ELI, starts_at=MONDAY + timedelta(days=2, hours=3))
    new = OutboxEmail.select().where(OutboxEmail.created_at == clock.now())
    first_id = min(each.id for each in new)
    dead = sender_to(app, unused_port())
    wait_with(dead, at, 10)
    assert failing_checks(visitor) == {}
    wait_with(dead, at, 1)
    assert_not_ready(visitor, "outbox", "waits 4260 s", f"mindsum outbox show {first_id}")


@pytest.mark.both_databases
@pytest.mark.parametrize("sent_s_ago", [0, 600])
def test_an_address_that_defers_its_email_does_not_make_the_site_unready(
    visitor: Visitor, at: Any, sent_s_ago: int
) -> None:
    put_off = queue_email()
    other = outbox.enqueue("account_alert", Role.OPS, about="another", now=clock.now())
    OutboxEmail.update(status="sent").where(OutboxEmail.id == other.id).execute()
    now = at(MONDAY + timedelta(hours=3))
    beat()
    attempts.add(other, Outcome.SENT, now - timedelta(seconds=sent_s_ago))
    attempts.add(put_off, Outcome.DEFERRED, now)
    assert failing_checks(visitor) == {}
    show = f"mindsum outbox show {put_off.id}"
    assert_says(visitor, "outbox", "waits 10800 s", "not stuck", show)
    at(now + timedelta(seconds=601 - sent_s_ago))
    beat()
    assert set(failing_checks(visitor)) == {"outbox"}


def test_a_delivery_from_before_the_clock_went_back_does_not_count_as_one_of_now(
    visitor: Visitor, at: Any
) -> None:
    attempts.add(queue_email(), Outcome.SENT, MONDAY + timedelta(hours=1))
    at(MONDAY + timedelta(minutes=11))
    beat()
    assert set(failing_checks(visitor)) == {"outbox"}


def test_a_held_outbox_says_so_where_nothing_waits(visitor: Visitor) -> None:
    outbox.hold(clock.now())
    assert_says(visitor, "outbox", "nothing waiting", "held", "mindsum outbox release")


@pytest.mark.both_databases
def test_a_held_outbox_says_how_it_goes_on(visitor: Visitor, at: Any) -> None:
    queue_email()
    outbox.hold(clock.now())
    at(MONDAY + timedelta(hours=1))
    beat()
    assert_not_ready(visitor, "outbox", "waits 3600 s", "held", "mindsum outbox release")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_outbox_check_reads_waiting_emails_and_newest_attempts_by_index(
    visitor: Visitor, at: Any
) -> None:
    queue_email()
    at(MONDAY + timedelta(hours=1))
    with counted_queries() as seen:
        visitor.get("/readyz")
    (waiting,) = [each for each in seen if 'BY "t1"."created_at"' in each]
    plan = database.db.execute_sql(f"EXPLAIN QUERY PLAN {waiting}", (1,)).fetchall()
    assert "USING INDEX outbox_" in plan[0][-1]
    (late,) = [each for each in seen if "COUNT(DISTINCT" in each]
    plan = database.db.execute_sql(f"EXPLAIN QUERY PLAN {late}", (1,)).fetchall()
    lines = [line[-1] for line in plan if line[-1].startswith(("SCAN", "SEARCH"))]
    assert len(lines) == 3
    assert all("USING INDEX outbox_" in each or "PRIMARY KEY" in each for each in lines), lines
    (newest,) = [each for each in seen if "delivery_attempt" in each]
    plan = database.db.execute_sql(f"EXPLAIN QUERY PLAN {newest}", (1,)).fetchall()
    assert "LIMIT" in newest
    assert not any("TEMP B-TREE" in line[-1] for line in plan)

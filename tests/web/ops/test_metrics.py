"""What a scrape of the metrics holds."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor
from app.services.clients.erase import erase_client
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import JobResult
from app.store import attempts, claiming, outbox
from app.store.db import database
from app.store.models import DeliveryAttempt, OutboxEmail, Outcome
from tests.harness.ops_pages import (
    beat,
    job,
    queue_email,
    scrape,
)
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import DEE, Story
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


def samples(found: dict[str, float], family: str) -> dict[str, float]:
    """The samples of one family, by their labels."""
    return {
        name.partition("{")[2].rstrip("}"): value
        for name, value in found.items()
        if name.startswith(family + "{")
    }


def timed_requests(visitor: Visitor, endpoint: str, method: str, status: str) -> float:
    """How many such requests this process has counted."""
    labels = f'endpoint="{endpoint}",method="{method}",status="{status}"'
    name = f"mindsum_http_request_duration_seconds_count{{{labels}}}"
    return scrape(visitor).get(name, 0)


@pytest.mark.both_databases
def test_the_figures_are_those_of_the_moment(visitor: Visitor, at: Any) -> None:
    queue_email()
    beat()
    at(MONDAY + timedelta(seconds=90))
    found = scrape(visitor)
    assert {name: found[f"mindsum_{name}"] for name in (
        "database_up", "schema_current", "outbox_due", "outbox_oldest_due_age_seconds",
        "scheduler_heartbeat_age_seconds", "enquiries_open", "outbox_held",
    )} == {
        "database_up": 1, "schema_current": 1, "outbox_due": 1,
        "outbox_oldest_due_age_seconds": 90, "scheduler_heartbeat_age_seconds": 90,
        "enquiries_open": 0, "outbox_held": 0,
    }  # fmt: skip
    outbox.hold(clock.now())
    assert scrape(visitor)["mindsum_outbox_held"] == 1
    assert "# TYPE mindsum_enquiries_overdue gauge" in visitor.get("/metrics").text


def test_an_email_in_a_senders_hands_has_waited_since_it_was_written(
    visitor: Visitor, at: Any
) -> None:
    queue_email()
    claiming.claim(clock.now(), 1)
    at(MONDAY + timedelta(seconds=7))
    found = scrape(visitor)
    assert found["mindsum_outbox_oldest_due_age_seconds"] == 7
    assert found["mindsum_outbox_due"] == 0


def test_emails_are_counted_where_they_stand(story: Story, visitor: Visitor) -> None:
    story.ask()
    assert samples(scrape(visitor), "mindsum_outbox_emails") == {
        'status="queued"': 2, 'status="sending"': 0, 'status="sent"': 0, 'status="failed"': 0,
        'status="skipped"': 0,
    }  # fmt: skip
    story.deliver()
    assert scrape(visitor)['mindsum_outbox_emails{status="sent"}'] == 2
    assert scrape(visitor)['mindsum_outbox_emails{status="queued"}'] == 0


def test_moves_are_counted_by_kind_and_way_in(story: Story, visitor: Visitor) -> None:
    first, second = story.ask(), story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9))
    story.accept(first)
    story.cancel(first, Actor.CLIENT)
    story.wait(hours=4)
    story.sweep()
    story.decline(second)
    assert samples(scrape(visitor), "mindsum_moves_total") == {
        'kind="requested",via="api"': 2,
        'kind="accepted",via="link"': 1,
        'kind="cancelled_by_client",via="dashboard"': 1,
        'kind="late",via="scheduler"': 1,
        'kind="declined",via="link"': 1,
    }


def test_deliveries_are_counted_by_outcome_and_outcomes_that_never_came_are_zero(
    visitor: Visitor, app: Flask
) -> None:
    email = queue_email()
    for outcome in (Outcome.DEFERRED, Outcome.DEFERRED, Outcome.SENT):
        attempts.add(email, outcome, clock.now())
    counted = samples(scrape(visitor), "mindsum_deliveries_total")
    assert set(counted) == {f'outcome="{outcome}"' for outcome in Outcome}
    assert {name: count for name, count in counted.items() if count} == {
        'outcome="deferred"': 2,
        'outcome="sent"': 1,
    }


def test_erasing_a_client_and_losing_an_email_lower_no_count(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    story.decline(booking)
    for email in OutboxEmail.select():
        attempts.add(email, Outcome.SENT, clock.now())
    before = scrape(visitor)
    erase_client(DEE[1], clock.now())
    after = scrape(visitor)
    falls = [
        name
        for name in before
        if re.match(r"mindsum_(moves|deliveries|job)\w*_total", name) and after[name] < before[name]
    ]
    assert falls == []
    OutboxEmail.delete().execute()
    assert scrape(visitor)['mindsum_deliveries_total{outcome="sent"}'] == 4
    assert [each.email_id for each in DeliveryAttempt.select()] == [None] * 4


@pytest.mark.both_databases
def test_what_a_server_said_is_kept_in_short(app: Flask) -> None:
    email = queue_email()
    attempts.add(email, Outcome.REFUSED_ADDRESS, MONDAY, "x" * 400, code=550)
    (left,) = attempts.list_for(email)
    assert (left.outcome, left.at, left.code, left.said) == (
        Outcome.REFUSED_ADDRESS, MONDAY, 550, "x" * 300,
    )  # fmt: skip


def test_jobs_tell_how_often_and_how_long_they_ran_and_how_late_they_were(
    visitor: Visitor, app: Flask
) -> None:
    monitor = JobMonitor()
    overdue = JobResult(due=3, done=2, failed=1, oldest_at=MONDAY - timedelta(seconds=45))
    for run, took_s, has_failed in ((JobResult(), 0.5, False), (overdue, 5.0, True)):
        monitor.finish(job("purge"), run, took_s=took_s, now=clock.now(), has_failed=has_failed)
    found = scrape(visitor)
    assert {name: value for name, value in found.items() if 'job="purge"' in name} == {
        'mindsum_job_runs_total{job="purge",result="ok"}': 1,
        'mindsum_job_runs_total{job="purge",result="failed"}': 1,
        'mindsum_job_things_total{job="purge",result="done"}': 2,
        'mindsum_job_things_total{job="purge",result="failed"}': 1,
        'mindsum_job_duration_seconds_count{job="purge"}': 2,
        'mindsum_job_duration_seconds_sum{job="purge"}': 5.5,
        'mindsum_job_last_duration_seconds{job="purge"}': 5,
        'mindsum_job_last_lag_seconds{job="purge"}': 40,
        'mindsum_job_last_finished_timestamp_seconds{job="purge"}': MONDAY.timestamp(),
    }


def test_a_job_that_only_ever_failed_does_not_claim_to_be_in_time(
    visitor: Visitor, app: Flask
) -> None:
    failed = {"took_s": 1, "now": clock.now(), "has_failed": True}
    JobMonitor().finish(job("purge"), JobResult(), **failed)
    found = scrape(visitor)
    assert found['mindsum_job_last_duration_seconds{job="purge"}'] == 1
    assert 'mindsum_job_last_lag_seconds{job="purge"}' not in found


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "counted_as", "status"),
    [
        ("GET", "/", "directory.find", "GET", "2xx"),
        ("GET", "/therapists/asha", "directory.profile", "GET", "4xx"),
        ("GET", "/link/accept/eyJhIjoxfQ.c2VjcmV0.dG9rZW4", "links.show_accept", "GET", "4xx"),
        ("GET", "/wp-login.php", "unmatched", "GET", "4xx"),
        ("BREW", "/another", "unmatched", "other", "4xx"),
        ("POST", "/healthz", "unmatched", "POST", "4xx"),
        ("GET", "/healthz", "ops.healthz", "GET", "2xx"),
    ],
)
def test_requests_are_timed_by_endpoint_and_never_by_address(
    visitor: Visitor, app: Flask, method: str, path: str, endpoint: str, counted_as: str,
    status: str,
) -> None:  # fmt: skip
    before = timed_requests(visitor, endpoint, counted_as, status)
    visitor.open(path, method=method)
    assert timed_requests(visitor, endpoint, counted_as, status) == before + 1
    said = visitor.get("/metrics").text
    assert "c2VjcmV0" not in said
    assert "wp-login" not in said
    assert "BREW" not in said


def test_a_scrape_needs_no_more_queries_when_more_is_stored(story: Story, visitor: Visitor) -> None:
    def needed() -> int:
        with counted_queries() as seen:
            scrape(visitor)
        return len(seen)

    beat()
    before = needed()
    story.ask()
    story.deliver()
    beat("another")
    assert needed() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_count_of_a_scrape_reads_an_index_alone(visitor: Visitor) -> None:
    with counted_queries() as seen:
        scrape(visitor)
    counts = [each for each in seen if "GROUP BY" in each]
    assert len(counts) == 4
    for each in counts:
        plan = database.db.execute_sql(f"EXPLAIN QUERY PLAN {each}").fetchall()
        lines = [line[-1] for line in plan if "TEMP B-TREE" not in line[-1]]
        # The few emails that have not ended are looked at themselves.
        assert all("COVERING INDEX" in line or "outbox_due" in line for line in lines), lines

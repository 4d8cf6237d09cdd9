"""What ops and their machines ask."""

import re
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import clock, config, create_app
from app.config import Settings
from app.rules.lifecycle import Actor
from app.services import clients
from app.services.jobs.monitor import JobMonitor
from app.services.jobs.result import Job, JobResult
from app.services.mail.sender import OutboxSender
from app.store import attempts, job_stats, outbox
from app.store.db import database
from app.store.job_stats import JobDelta
from app.store.models import DeliveryAttempt, OutboxEmail, Outcome, Role
from tests.harness.databases import postgresql_in
from tests.harness.smtp_server import FaultyServer, unused_port
from tests.harness.waiting import until
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.web.conftest import Visitor, another_visitor, counted_queries

pytestmark = pytest.mark.both_databases

NAMES = ("apply_standing", "purge", "deliver_outbox")


@pytest.fixture(autouse=True)
def _monday(at: Any) -> None:
    at(MONDAY)


def failing(visitor: Visitor) -> dict[str, str]:
    """The checks that do not hold and what they say; the status has to agree with them."""
    answer = visitor.get("/readyz")
    failed = {name: each["says"] for name, each in answer.json["checks"].items() if not each["ok"]}
    assert answer.status_code == (503 if failed else 200)
    assert answer.json["status"] == ("not ready" if failed else "ready")
    return failed


def figures(visitor: Visitor) -> dict[str, float]:
    """Every sample of a scrape, by its name with its labels."""
    answer = visitor.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def write_email() -> OutboxEmail:
    return outbox.enqueue("account_alert", Role.OPS, about="a story", now=clock.now())


def stir(*names: str) -> None:
    """Those jobs, or all, show a heartbeat."""
    for name in names or NAMES:
        job_stats.add(name, JobDelta(), clock.now(), 60)


def job(name: str, every_s: float = 1, patience_s: float = 0) -> Job:
    return Job(name, every_s, lambda _now: (part for part in ()), patience_s=patience_s)


def finish(monitor: JobMonitor, one: Job) -> None:
    """A run of that job ends, which found nothing to do."""
    monitor.finish(one, JobResult(), took_s=0, now=clock.now(), has_failed=False)


def test_with_everything_in_order_the_house_is_ready(app: Flask, visitor: Visitor) -> None:
    stir()
    assert failing(visitor) == {}
    assert set(visitor.get("/readyz").json["checks"]) == {
        "database",
        "schema",
        "notes",
        "scheduler",
        "outbox",
    }


def test_a_house_that_cannot_read_what_was_written_is_not_ready(
    story: Story, settings: Settings, visitor: Visitor
) -> None:
    story.ask(note="for Asha's eyes")
    stir()
    config.use(settings.model_copy(update={"notes_key": (Fernet.generate_key().decode(),)}))
    # What is written with the wrong key reads well with it.
    story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9), note="for Bran's")
    assert set(failing(visitor)) == {"notes"}
    config.use(settings)
    assert set(failing(visitor)) == {"notes"}


def test_a_scheduler_is_missed_by_its_most_frequent_heartbeat(visitor: Visitor, at: Any) -> None:
    monitor = JobMonitor()
    finish(monitor, job("apply_standing"))
    finish(monitor, job("deliver_outbox", patience_s=200))
    at(MONDAY + timedelta(seconds=62))
    assert failing(visitor) == {"scheduler": "was alive 62 s ago"}


@pytest.mark.parametrize(("age_s", "failed"), [(0, set()), (60, set()), (61, {"scheduler"})])
def test_a_scheduler_is_missed_after_a_minute(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    stir()
    at(MONDAY + timedelta(seconds=age_s))
    assert set(failing(visitor)) == failed


def test_a_scheduler_that_never_ran_is_missed(visitor: Visitor) -> None:
    assert failing(visitor) == {"scheduler": "has never run; start: python scheduler.py"}


def test_a_job_that_hangs_is_named_while_the_others_run(visitor: Visitor, at: Any) -> None:
    stir()
    at(MONDAY + timedelta(seconds=75))
    stir("apply_standing", "purge")
    assert failing(visitor) == {
        "scheduler": "job deliver_outbox has not finished for 75 s: it hangs; restart the scheduler"
    }


def test_a_job_that_waits_its_hour_is_missed_a_minute_after_it_began_to_hang(
    visitor: Visitor, at: Any
) -> None:
    monitor, purge = JobMonitor(), job("purge", every_s=3600)

    def others_run_after(seconds: int) -> None:
        at(clock.now() + timedelta(seconds=seconds))
        finish(monitor, job("apply_standing"))

    finish(monitor, purge)
    others_run_after(3600)
    assert failing(visitor) == {}
    monitor.start(purge, clock.now())
    others_run_after(60)
    assert failing(visitor) == {}
    others_run_after(5)
    assert failing(visitor) == {
        "scheduler": "job purge has not finished for 65 s: it hangs; restart the scheduler"
    }


def test_a_job_that_hangs_is_named_although_the_clock_went_back(visitor: Visitor, at: Any) -> None:
    stir()
    at(MONDAY - timedelta(hours=1))
    stir("apply_standing", "purge")
    assert "job deliver_outbox has not finished" in failing(visitor)["scheduler"]
    at(MONDAY - timedelta(hours=2))
    assert failing(visitor) == {"scheduler": "its clock is 3600 s ahead of ours"}


@pytest.mark.parametrize(("age_s", "failed"), [(600, set()), (601, {"scheduler"})])
def test_between_runs_from_cron_ten_minutes_may_pass(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    monitor = JobMonitor(is_resident=False)
    for name in NAMES:
        finish(monitor, job(name, every_s=3600))
    at(MONDAY + timedelta(seconds=age_s))
    assert set(failing(visitor)) == failed


@pytest.mark.parametrize(("age_s", "failed"), [(600, set()), (601, {"outbox"})])
def test_an_outbox_is_stuck_after_ten_minutes(
    visitor: Visitor, at: Any, age_s: int, failed: set[str]
) -> None:
    write_email()
    at(MONDAY + timedelta(seconds=age_s))
    stir()
    assert set(failing(visitor)) == failed


def wait_with(one: OutboxSender, at: Any, minutes: int) -> None:
    """Time goes on by minutes, and what is due is tried in each; the scheduler is well."""
    for _ in range(minutes):
        at(clock.now() + timedelta(minutes=1))
        total(one.deliver())
    stir()


def test_an_outbox_that_a_mail_server_refuses_for_hours_is_stuck(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9))
    wait_with(sender_to(app, unused_port()), at, 180)
    assert {each.outcome for each in DeliveryAttempt.select()} == {Outcome.DEFERRED}
    assert outbox.oldest_due_at(clock.now() - timedelta(minutes=10)) is None
    assert figures(visitor)["mindsum_outbox_oldest_due_age_seconds"] == 3 * 3600
    first = OutboxEmail.select().order_by(OutboxEmail.id).first()
    assert failing(visitor) == {
        "outbox": f"oldest waits 10800 s; none was sent for 10 min; "
        f"look: mindsum outbox show {first.id}"
    }


def test_an_outbox_whose_every_address_is_put_off_is_stuck(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    with FaultyServer({"rcpt": "451 4.3.0 temporary lookup failure"}) as server:
        one = sender_to(app, server.port)
        wait_with(one, at, 10)
        assert failing(visitor) == {}
        wait_with(one, at, 1)
    assert {row.last_error for row in OutboxEmail.select()} == {
        "recipient: 451 4.3.0 temporary lookup failure"
    }
    assert failing(visitor) == {
        "outbox": "oldest waits 660 s; none was sent for 10 min: 2 addresses are deferred; "
        "look: mindsum outbox list"
    }


def test_two_full_mailboxes_do_not_make_the_house_unready_while_others_get_their_emails(
    app: Flask, story: Story, visitor: Visitor, at: Any
) -> None:
    story.ask()
    full = {f"rcpt {DEE[1]}": "452 4.2.2 full", "rcpt asha@therapists.example": "452 4.2.2 full"}
    with FaultyServer(full) as server:
        one = sender_to(app, server.port)
        wait_with(one, at, 5)
        story.ask("bran", client=ELI, starts_at=MONDAY + timedelta(days=3, hours=9))
        wait_with(one, at, 60)
    assert failing(visitor) == {}


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
    assert failing(visitor) == {}
    says = visitor.get("/readyz").json["checks"]["outbox"]["says"]
    assert says.startswith("oldest waits 3600 s; it is not stuck; look: mindsum outbox show ")
    # Its next try, which would meet the dead server as well, is far off.
    OutboxEmail.update(due_at=clock.now() + timedelta(hours=1)).execute()
    story.ask(client=ELI, starts_at=MONDAY + timedelta(days=2, hours=3))
    new = OutboxEmail.select().where(OutboxEmail.created_at == clock.now())
    first_id = min(each.id for each in new)
    dead = sender_to(app, unused_port())
    wait_with(dead, at, 10)
    assert failing(visitor) == {}
    wait_with(dead, at, 1)
    assert failing(visitor) == {
        "outbox": "oldest waits 4260 s; none was sent for 10 min; "
        f"look: mindsum outbox show {first_id}"
    }


@pytest.mark.parametrize("sent_s_ago", [0, 600])
def test_an_address_that_puts_its_email_off_does_not_make_the_house_unready(
    visitor: Visitor, at: Any, sent_s_ago: int
) -> None:
    put_off = write_email()
    other = outbox.enqueue("account_alert", Role.OPS, about="another", now=clock.now())
    OutboxEmail.update(status="sent").where(OutboxEmail.id == other.id).execute()
    now = at(MONDAY + timedelta(hours=3))
    stir()
    attempts.add(other, Outcome.SENT, now - timedelta(seconds=sent_s_ago))
    attempts.add(put_off, Outcome.DEFERRED, now)
    assert failing(visitor) == {}
    says = visitor.get("/readyz").json["checks"]["outbox"]["says"]
    assert says == (
        f"oldest waits 10800 s; it is not stuck; look: mindsum outbox show {put_off.id}"
    )
    at(now + timedelta(seconds=601 - sent_s_ago))
    stir()
    assert set(failing(visitor)) == {"outbox"}


def test_a_delivery_from_before_the_clock_went_back_does_not_count_as_one_of_now(
    visitor: Visitor, at: Any
) -> None:
    attempts.add(write_email(), Outcome.SENT, MONDAY + timedelta(hours=1))
    at(MONDAY + timedelta(minutes=11))
    stir()
    assert set(failing(visitor)) == {"outbox"}


def test_a_held_outbox_says_so_where_nothing_waits(visitor: Visitor) -> None:
    outbox.hold(clock.now())
    says = visitor.get("/readyz").json["checks"]["outbox"]["says"]
    assert says == "has nothing waiting; it is held: look, then run: mindsum outbox release"


def test_a_held_outbox_says_how_it_goes_on(visitor: Visitor, at: Any) -> None:
    write_email()
    outbox.hold(clock.now())
    at(MONDAY + timedelta(hours=1))
    stir()
    assert failing(visitor) == {
        "outbox": "oldest waits 3600 s; it is held: look, then run: mindsum outbox release"
    }


def test_an_email_in_a_senders_hands_has_waited_since_it_was_written(
    visitor: Visitor, at: Any
) -> None:
    write_email()
    outbox.claim(clock.now(), 1)
    at(MONDAY + timedelta(seconds=90))
    found = figures(visitor)
    assert found["mindsum_outbox_oldest_due_age_seconds"] == 90
    assert found["mindsum_outbox_due"] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whether_emails_leave_is_asked_of_those_that_wait_and_of_the_newest_attempts(
    visitor: Visitor, at: Any
) -> None:
    write_email()
    at(MONDAY + timedelta(hours=1))
    with counted_queries() as seen:
        visitor.get("/readyz")
    (waiting,) = [each for each in seen if '"created_at"' in each and "ORDER BY" in each]
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


def test_a_slow_mail_server_is_no_sender_that_hangs(visitor: Visitor, at: Any) -> None:
    lease_s = 20 * 30
    monitor = JobMonitor()

    def others_run_at(age_s: int) -> None:
        at(MONDAY + timedelta(seconds=age_s))
        finish(monitor, job("apply_standing"))

    others_run_at(0)
    monitor.progress(job("deliver_outbox", patience_s=lease_s), clock.now())
    others_run_at(lease_s)
    assert failing(visitor) == {}
    others_run_at(lease_s + 1)
    assert failing(visitor) == {
        "scheduler": "job deliver_outbox has not finished for 601 s: it hangs; "
        "restart the scheduler"
    }


def test_a_schema_step_that_is_missing_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    visitor = another_visitor(create_app(Settings(database_url=f"sqlite:///{empty}")))
    answer = visitor.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["schema"] == {
        "ok": False,
        "says": "waits for upgrades; run: mindsum db upgrade",
    }
    found = figures(visitor)
    assert (found["mindsum_database_up"], found["mindsum_schema_current"]) == (1, 0)
    assert "mindsum_outbox_due" not in found


def test_without_a_database_the_process_is_up_but_not_ready() -> None:
    visitor = another_visitor(
        create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    )
    assert visitor.get("/healthz").json == {"status": "up"}
    assert set(failing(visitor)) == {"database"}
    found = figures(visitor)
    assert found["mindsum_database_up"] == 0
    assert "mindsum_schema_current" not in found
    assert "mindsum_outbox_due" not in found
    assert any(name.startswith("mindsum_http_request_duration_seconds") for name in found)
    database.release()


def test_an_outage_that_begins_between_two_scrapes_is_told_and_so_is_its_end() -> None:
    folder = tempfile.mkdtemp(prefix="mindsum-outage-")
    server = postgresql_in(folder, "stop")
    try:
        visitor = another_visitor(create_app(Settings(database_url=server.get_uri())))
        database.upgrade()
        stir()
        assert figures(visitor)["mindsum_database_up"] == 1
        server.cleanup()
        assert figures(visitor)["mindsum_database_up"] == 0
        assert set(failing(visitor)) == {"database"}
        assert figures(visitor)["mindsum_database_up"] == 0
        server = postgresql_in(folder, "stop")
        until("the database to be up", lambda: figures(visitor)["mindsum_database_up"])
        until("all checks to pass", lambda: failing(visitor), lambda checks: not checks)
    finally:
        database.release()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_figures_are_those_of_the_moment(visitor: Visitor, at: Any) -> None:
    write_email()
    stir()
    at(MONDAY + timedelta(seconds=90))
    found = figures(visitor)
    assert {name: found[f"mindsum_{name}"] for name in (
        "database_up", "schema_current", "outbox_due", "outbox_oldest_due_age_seconds",
        "scheduler_heartbeat_age_seconds", "enquiries_open", "outbox_held",
    )} == {
        "database_up": 1, "schema_current": 1, "outbox_due": 1,
        "outbox_oldest_due_age_seconds": 90, "scheduler_heartbeat_age_seconds": 90,
        "enquiries_open": 0, "outbox_held": 0,
    }  # fmt: skip
    outbox.hold(clock.now())
    assert figures(visitor)["mindsum_outbox_held"] == 1
    assert "# TYPE mindsum_enquiries_overdue gauge" in visitor.get("/metrics").text


def test_emails_are_counted_where_they_stand(story: Story, visitor: Visitor) -> None:
    story.ask()
    assert of(figures(visitor), "mindsum_outbox_emails") == {
        'status="queued"': 2, 'status="sending"': 0, 'status="sent"': 0, 'status="failed"': 0,
        'status="skipped"': 0,
    }  # fmt: skip
    story.deliver()
    assert figures(visitor)['mindsum_outbox_emails{status="sent"}'] == 2
    assert figures(visitor)['mindsum_outbox_emails{status="queued"}'] == 0


def of(found: dict[str, float], family: str) -> dict[str, float]:
    """The samples of one family, by their labels."""
    return {
        name.partition("{")[2].rstrip("}"): value
        for name, value in found.items()
        if name.startswith(family + "{")
    }


def test_moves_are_counted_by_kind_and_door(story: Story, visitor: Visitor) -> None:
    first, second = story.ask(), story.ask("bran", starts_at=MONDAY + timedelta(days=3, hours=9))
    story.accept(first)
    story.cancel(first, Actor.CLIENT)
    story.wait(hours=4)
    story.sweep()
    story.decline(second)
    assert of(figures(visitor), "mindsum_moves_total") == {
        'kind="requested",via="api"': 2,
        'kind="accepted",via="link"': 1,
        'kind="cancelled_by_client",via="dashboard"': 1,
        'kind="late",via="scheduler"': 1,
        'kind="declined",via="link"': 1,
    }


def test_deliveries_are_counted_by_outcome_and_those_that_never_came_are_nought(
    visitor: Visitor, app: Flask
) -> None:
    email = write_email()
    for outcome in (Outcome.DEFERRED, Outcome.DEFERRED, Outcome.SENT):
        attempts.add(email, outcome, clock.now())
    counted = of(figures(visitor), "mindsum_deliveries_total")
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
    before = figures(visitor)
    clients.erase(DEE[1], clock.now())
    after = figures(visitor)
    falls = [
        name
        for name in before
        if re.match(r"mindsum_(moves|deliveries|job)\w*_total", name) and after[name] < before[name]
    ]
    assert falls == []
    OutboxEmail.delete().execute()
    assert figures(visitor)['mindsum_deliveries_total{outcome="sent"}'] == 4
    assert [each.email_id for each in DeliveryAttempt.select()] == [None] * 4


def test_what_a_server_said_is_kept_in_short(app: Flask) -> None:
    email = write_email()
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
    found = figures(visitor)
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
    found = figures(visitor)
    assert found['mindsum_job_last_duration_seconds{job="purge"}'] == 1
    assert 'mindsum_job_last_lag_seconds{job="purge"}' not in found


def taken(visitor: Visitor, endpoint: str, method: str, status: str) -> float:
    """How many such requests this process has counted."""
    labels = f'endpoint="{endpoint}",method="{method}",status="{status}"'
    name = f"mindsum_http_request_duration_seconds_count{{{labels}}}"
    return figures(visitor).get(name, 0)


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
    before = taken(visitor, endpoint, counted_as, status)
    visitor.open(path, method=method)
    assert taken(visitor, endpoint, counted_as, status) == before + 1
    said = visitor.get("/metrics").text
    assert "c2VjcmV0" not in said
    assert "wp-login" not in said
    assert "BREW" not in said


def test_a_scrape_needs_no_more_queries_for_a_fuller_house(story: Story, visitor: Visitor) -> None:
    def needed() -> int:
        with counted_queries() as seen:
            figures(visitor)
        return len(seen)

    stir()
    before = needed()
    story.ask()
    story.deliver()
    stir("another")
    assert needed() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_count_of_a_scrape_reads_an_index_alone(visitor: Visitor) -> None:
    with counted_queries() as seen:
        figures(visitor)
    counts = [each for each in seen if "GROUP BY" in each]
    assert len(counts) == 4
    for each in counts:
        plan = database.db.execute_sql(f"EXPLAIN QUERY PLAN {each}").fetchall()
        lines = [line[-1] for line in plan if "TEMP B-TREE" not in line[-1]]
        # The few emails that have not ended are looked at themselves.
        assert all("COVERING INDEX" in line or "outbox_due" in line for line in lines), lines


def test_a_database_that_does_not_answer_is_a_503_that_says_nothing_was_done() -> None:
    app = create_app(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    for path in ("/", "/therapists/asha", "/my-links"):
        answer = another_visitor(app).get(path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "Nothing was done and nothing was lost" in answer.text

"""How soon a scheduler sends, goes on and catches up, and what it costs when nothing is due."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

from app import clock, create_app
from app.config import Settings
from app.rules.lifecycle import Kind, Via
from app.services.bookings import request
from app.services.jobs import due
from app.store import claiming
from app.store.db import database
from app.store.models import (
    Booking,
    IdempotentAnswer,
    OutboxEmail,
    OutboxStatus,
    SignIn,
    TimelineEntry,
)
from tests.bench.delivery import BOOKINGS, THERAPISTS, fill
from tests.bench.figure import IS_QUICK, ROUNDS, Figure
from tests.bench.sink import Sink
from tests.harness.processes import Site
from tests.harness.smtp_server import Fault, FaultyServer
from tests.harness.waiting import until

COMMITS = 12 if IS_QUICK else 150
CLAIMED = 500
REQUESTS = 64
# Emails of the scheduler that is killed.
IN_HAND = 20
# Columns that differ in the copies of rows, as SQL in which {n} is a new number.
FILLED: Mapping[str, Mapping[str, str]] = {
    "booking": {"reference": "'MB-' || {n} || '-'", "status": "'completed'"},
    "outbox_email": {"about": "'a' || {n}", "thread": "'t' || {n}", "status": "'sent'"},
    "sign_in": {"key": "'k' || {n}"},
    "idempotent_answer": {"key": "'k' || {n}"},
}
# Rows of each.
FEW = {"booking": 5_000, "outbox_email": 10_000, "sign_in": 2_500, "idempotent_answer": 2_500}
MANY = {name: rows * 5 // 2 for name, rows in FEW.items()}
if not IS_QUICK:
    MANY = {
        "booking": 1_500_000,
        "outbox_email": 1_000_000,
        "sign_in": 250_000,
        "idempotent_answer": 250_000,
    }


def figures(name: str, url: str, folder: Path) -> Iterator[Figure]:
    """Latency, leases, catching up; then sweeps and claims in a large database."""
    create_app(Settings(database_url=url))
    database.upgrade()
    with database.connection():
        fill()
        yield from latency(name, url, folder)
        yield goes_on(name, url, folder)
        yield catch_up(name, url, folder)
        yield from in_a_large_database(name)


def figure(name: str, what: str, unit: str, measured: float, **bounds: float) -> Figure:
    must, goal = bounds["must"], bounds["goal"]
    return Figure(
        database=name, name=what, unit=unit, measured=measured, must=must, goal=goal,
        is_more_better=must < goal,
    )  # fmt: skip


def latency(name: str, url: str, folder: Path) -> Iterator[Figure]:
    with Sink() as sink, Site(url, folder, sink).spawn("scheduler.py"):
        sink.wait_until_taken(2 * BOOKINGS)
        waits_ms = [_wait_ms(sink, number) for number in range(COMMITS)]
    found = quantiles(waits_ms, n=100)
    what = "commit → mail server, idle"
    yield figure(name, f"{what}, p50", "ms", found[49], must=100, goal=30)
    yield figure(name, f"{what}, p99", "ms", found[98], must=300, goal=100)


def _wait_ms(sink: Sink, number: int) -> float:
    # At no fixed distance from the polls.
    time.sleep(random.uniform(0.1, 0.4))
    before, now = len(sink.taken_at), clock.now()
    day, therapist = divmod(number, THERAPISTS)
    starts_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=day % 20 + 20)
    wanted = request.BookingRequest(
        f"bran-{therapist}", "Eli Park", f"late{number}@clients.example", "UTC",
        starts_at.replace(hour=(number // 160) % 24), Kind.PAID,
    )  # fmt: skip
    request.request_booking(wanted, via=Via.API, now=now)
    committed_s = time.monotonic()
    sink.wait_until_taken(before + 2)
    return (sink.taken_at[before] - committed_s) * 1000


def goes_on(name: str, url: str, folder: Path) -> Figure:
    """From the kill of a scheduler with emails in hand until another one has sent the last."""
    _queue_again(IN_HAND)
    is_in_hand = OutboxEmail.status == OutboxStatus.SENDING
    with (
        FaultyServer({"greeting": Fault.SILENCE}) as silent,
        Site(url, folder, silent).spawn("scheduler.py") as killed,
    ):
        until(
            "all emails to be in hand",
            OutboxEmail.select().where(is_in_hand).count,
            lambda count: count == IN_HAND,
        )
        killed.kill()
        killed_s = time.monotonic()
        killed.wait()
    with Sink() as sink, Site(url, folder, sink).spawn("scheduler.py"):
        taken_at = sink.wait_until_taken(IN_HAND)
    what = "emails of a killed scheduler go on after"
    return figure(name, what, "s", taken_at[-1] - killed_s, must=20, goal=10)


def catch_up(name: str, url: str, folder: Path) -> Figure:
    """All enquiries ended a few hours ago, and no scheduler has run since."""
    OutboxEmail.update(status=OutboxStatus.SENT, settled_at=clock.now()).execute()
    hours = Booking.requested_at.db_value(clock.now()) - Booking.requested_at.db_value(
        clock.now() - timedelta(hours=30)
    )
    moved = {
        field: field - hours
        for field in (Booking.requested_at, Booking.answer_by, Booking.expires_at)
    }
    expired = Booking.update(moved).execute()
    with Sink() as sink, Site(url, folder, sink).spawn("scheduler.py"):
        is_expired = TimelineEntry.event == "expired"
        until("the first expiry", TimelineEntry.select().where(is_expired).exists)
        began_s = time.monotonic()
        rate = 2 * expired / (sink.wait_until_taken(2 * expired)[-1] - began_s)
    what = "emails of a catch-up after a day: expiries with two each"
    return figure(name, what, "/s", rate, must=300, goal=600)


def in_a_large_database(name: str) -> Iterator[Figure]:
    _fill_tables(FEW)
    claim_of_few_ms, request_of_few_ms = _claim_ms(), _median_request_ms(40)
    _fill_tables(MANY)
    claim_of_many_ms, request_of_many_ms = _claim_ms(), _median_request_ms(50)
    _end_all()
    what = f"empty sweep of all jobs, {sum(MANY.values()):,} rows"
    yield figure(name, what, "ms", _median_ms(_sweep, 20), must=10, goal=3)
    yield Figure(
        database=name,
        name=f"claim of {CLAIMED} due, {MANY['outbox_email']:,} ÷ {FEW['outbox_email']:,} emails",
        unit="ms",
        measured=claim_of_many_ms,
        floor=claim_of_few_ms,
        ratio=claim_of_many_ms / claim_of_few_ms,
        must=1.5,
        goal=1.2,
        is_more_better=False,
    )
    yield Figure(
        database=name,
        name=f"booking request, {MANY['booking']:,} bookings ÷ {FEW['booking']:,}",
        unit="/s",
        measured=1000 / request_of_many_ms,
        floor=1000 / request_of_few_ms,
        ratio=request_of_few_ms / request_of_many_ms,
        must=0.9,
        goal=0.95,
    )


def _median_request_ms(days: int) -> float:
    """On the days after so many, which no other request of this benchmark has."""
    return median(_request_ms(days, hours) for hours in range(ROUNDS))


def _request_ms(days: int, hours: int) -> float:
    now = clock.now()
    starts_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=days, hours=hours)

    def ask(number: int) -> None:
        day, therapist = divmod(number, THERAPISTS)
        wanted = request.BookingRequest(
            f"bran-{therapist}", "Eli Park", f"far{days}-{hours}-{number}@clients.example", "UTC",
            starts_at + timedelta(days=day), Kind.PAID,
        )  # fmt: skip
        request.request_booking(wanted, via=Via.API, now=now)

    numbers = itertools.count()
    return _median_ms(lambda: ask(next(numbers)), REQUESTS)


def _fill_tables(rows: Mapping[str, int]) -> None:
    """So many rows in each of FILLED, none of them due."""
    now, first = clock.now(), f"first-{sum(rows.values())}"
    IdempotentAnswer.create(key=first, body_hash="", http_status=201, body="{}", created_at=now)
    SignIn.create(key=first, therapist=1, next_path="/dashboard", created_at=now)
    for table, changed in FILLED.items():
        while (found := _scalar(f"SELECT count(*) FROM {table}")) < rows[table]:
            columns = [name for name in _columns(table) if name != "id"]
            # No earlier copy has one of these: there were fewer rows then.
            number = f"({found} + row_number() OVER (ORDER BY id))"
            copied = [changed.get(name, f'"{name}"').format(n=number) for name in columns]
            names = ", ".join(f'"{name}"' for name in columns)
            database.db.execute_sql(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(copied)} FROM {table}"
                f" ORDER BY id LIMIT {rows[table] - found}"
            )
    # As a database that grew for weeks.
    settle = ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")
    for statement in settle if database.is_sqlite() else ("VACUUM ANALYZE", "CHECKPOINT"):
        database.db.execute_sql(statement)


def _scalar(sql: str) -> int:
    return int(database.db.execute_sql(sql).fetchone()[0])


def _columns(table: str) -> list[str]:
    found = database.db.execute_sql(f"SELECT * FROM {table} LIMIT 1")
    found.fetchall()
    return [column[0] for column in found.description]


def _sweep() -> None:
    now = clock.now()
    assert not due.run_all_sweeps(now).due
    assert not list(due.purge(now))
    assert claiming.oldest_due_at(now) is None


def _claim_ms() -> float:
    _queue_again(CLAIMED)

    took = list[float]()
    for _ in range(7):
        began = time.perf_counter()
        claims = claiming.claim(clock.now(), CLAIMED)
        took.append((time.perf_counter() - began) * 1000)
        assert len(claims) == CLAIMED
        claiming.give_back(claims, clock.now())
    return median(took)


def _queue_again(count: int) -> None:
    _end_all()
    newest = OutboxEmail.select(OutboxEmail.id).order_by(OutboxEmail.id.desc()).limit(count)
    ids = [row.id for row in newest]
    queued = {"status": OutboxStatus.QUEUED, "due_at": clock.now(), "settled_at": None}
    for start in range(0, count, 100):
        OutboxEmail.update(queued).where(OutboxEmail.id.in_(ids[start : start + 100])).execute()


def _end_all() -> None:
    # The others stay as they are: a million new versions of rows would have to be cleaned up.
    pending = OutboxEmail.status != OutboxStatus.SENT
    OutboxEmail.update(status=OutboxStatus.SENT).where(pending).execute()


def _median_ms(act: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000)
    return median(took[1:])

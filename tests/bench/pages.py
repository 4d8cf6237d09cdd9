"""Pages beside a bare Flask page of their size, and a therapist's pages as bookings grow."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from app import clock, create_app
from app.config import Settings
from app.rules.lifecycle import Status
from app.services import sessions
from app.store.db import database, statements
from app.store.db.database import in_transaction
from app.store.models import Booking, LedgerLine, Therapist, Window
from app.store.queries import earnings
from tests.bench.figure import IS_QUICK, Figure, compared
from tests.bench.load import Connection, Request, answered
from tests.bench.web import API_HEADERS, WORKERS, Bookings, add_therapist, serving
from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, unused_port
from tests.harness.waiting import until

HOURS = "Mon-Fri 09:00-17:00"
THERAPISTS = 1_000 if IS_QUICK else 10_000
REQUESTS = 200 if IS_QUICK else 1_500
FEW, MANY = 50, 5_000
# (must, goal): the ratio to a bare page, and the ratio of many bookings to few.
FIND, OTHERS, GROWTH = (0.3, 0.6), (0.15, 0.4), (1.3, 1.1)
CSV_MICROSECONDS = (60, 40)
# How often each page of a therapist is opened in a round.
VIEWS = 10
_BATCH = 100


def figures(name: str, url: str, folder: Path) -> Iterator[Figure]:
    """Public pages and slots, then a therapist's own pages."""
    settings = Settings(database_url=url, ratelimit_enabled=False)
    create_app(settings)
    database.upgrade()
    with database.connection():
        asha = add_therapist("asha", HOURS)
        list_therapists(asha)
        bookings = Bookings()
        secrets = [signed_in(bookings, f"grown-{count}", count) for count in (FEW, MANY)]
        # PostgreSQL plans by statistics, which a database that grew for weeks has.
        database.db.execute_sql("ANALYZE")
    with serving(url, folder, settings) as site, bare() as bare_port:
        for what, path, bounds in (
            (f"Find a Therapist, {THERAPISTS:,} therapists", "/", FIND),
            ("therapist page", "/therapists/asha", OTHERS),
            ("slots of 30 days", "/api/v1/therapists/asha/slots?days=30", OTHERS),
        ):
            yield beside_bare(name, what, path, bounds, site.port, bare_port)
        yield from grown(name, site.port, *secrets)


def list_therapists(like: Therapist) -> None:
    columns = {key: value for key, value in like.__data__.items() if key != "id"}
    windows = [each.__data__ for each in like.windows]

    def another(number: int) -> Therapist:
        address = f"t{number}@t.example"
        own = {"slug": f"t{number}", "email": address, "email_key": address, "tie_seed": number}
        return Therapist(**{**columns, **own})

    insert([another(number) for number in range(THERAPISTS)])
    ids = [each.id for each in Therapist.select(Therapist.id).where(Therapist.id > like.id)]
    hours = ("weekday", "start_minute", "end_minute")
    insert(
        [
            Window(therapist=therapist, **{key: each[key] for key in hours})
            for therapist in ids
            for each in windows
        ]
    )


def signed_in(bookings: Bookings, slug: str, past: int) -> str:
    """The cookie's secret of a therapist with so many sessions in the past, each paid."""
    now = clock.now()
    therapist = add_therapist(slug)
    like = bookings.made()
    columns = {key: value for key, value in like.__data__.items() if key != "id"}

    def session(number: int) -> Booking:
        ends_at = now - timedelta(hours=5 * number + 24)
        own: dict[str, Any] = {
            "therapist": therapist.id,
            "reference": f"{slug}-{number}"[-16:],
            "status": Status.COMPLETED,
            "requested_at": ends_at - timedelta(days=3),
            "answer_by": ends_at - timedelta(days=2),
            "expires_at": ends_at - timedelta(days=2),
            "starts_at": ends_at - timedelta(minutes=50),
            "ends_at": ends_at,
            "completes_at": ends_at + timedelta(minutes=10),
        }
        return Booking(**{**columns, **own})

    insert([session(number) for number in range(past)])
    theirs = Booking.select(Booking.id, Booking.completes_at).where(Booking.therapist == therapist)
    insert(
        [
            LedgerLine(
                booking=each.id,
                event="completed",
                account=account,
                amount_minor=amount,
                currency="GBP",
                at=each.completes_at,
                therapist=earner,
            )
            for each in theirs
            for account, amount, earner in (
                ("held", -6000, None),
                ("therapist", 5400, therapist.id),
                ("commission", 600, None),
            )
        ]
    )
    in_transaction(earnings.recount)(therapist)
    start = in_transaction(sessions.start)
    return start(therapist, browser="bench", is_kept=True, now=now)


def insert(rows: list[Any]) -> None:
    for start in range(0, len(rows), _BATCH):
        in_transaction(statements.insert)(*rows[start : start + _BATCH])


@contextmanager
def bare() -> Iterator[int]:
    """The port of a Flask application that only answers, with as many workers."""
    port = unused_port()
    command = ["--interface", "wsgi", "tests.bench.bare:app", "--host", LOOPBACK]
    more = ["--port", str(port), "--workers", str(WORKERS), "--blocking-threads", "8"]
    with subprocess.Popen(
        [sys.executable, "-m", "granian", *command, *more, "--no-ws", "--log-level", "error"],
        cwd=ROOT,
    ) as process:
        try:
            until("the bare page", lambda: is_open(port), bool)
            yield port
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    try:
        Connection(port).close()
    except OSError:
        return False
    return True


def beside_bare(
    database: str, what: str, path: str, bounds: tuple[float, float], port: int, bare_port: int
) -> Figure:
    headers = API_HEADERS if path.startswith("/api") else ""
    wanted = Request("GET", path, 200, headers)
    size = len(Connection(port).send(wanted))
    plain = Request("GET", f"/{size}", 200)
    # The first ones compile templates and statements.
    for each, server in ((wanted, port), (plain, bare_port)):
        answered(server, [each] * 8 * WORKERS)
    measured, floor, ratio = compared(
        lambda: answered(port, [wanted] * REQUESTS).per_second,
        lambda: answered(bare_port, [plain] * REQUESTS).per_second,
    )
    return Figure(
        database=database,
        name=f"{what} ÷ a bare page of {size / 1000:.0f} KB",
        unit="/s",
        measured=measured,
        floor=floor,
        ratio=ratio,
        must=bounds[0],
        goal=bounds[1],
    )


def grown(database: str, port: int, few: str, many: str) -> Iterator[Figure]:
    for what, path in (
        ("Home", "/dashboard"),
        ("My Sessions", "/dashboard/sessions"),
        ("Earnings", "/dashboard/earnings"),
    ):
        measured, floor, ratio = compared(
            lambda path=path: view_ms(port, path, many), lambda path=path: view_ms(port, path, few)
        )
        yield Figure(
            database=database,
            name=f"{what}, {MANY:,} bookings ÷ {FEW}",
            unit="ms",
            measured=measured,
            floor=floor,
            ratio=ratio,
            must=GROWTH[0],
            goal=GROWTH[1],
            is_more_better=False,
        )
    for what in ("sessions", "earnings"):
        path = f"/dashboard/{what}.csv"
        measured, floor, _ = compared(
            lambda path=path: view_ms(port, path, many), lambda path=path: view_ms(port, path, few)
        )
        yield Figure(
            database=database,
            name=f"a row of the CSV of {what}, {MANY:,} bookings",
            unit="µs",
            measured=1000 * (measured - floor) / (MANY - FEW),
            must=CSV_MICROSECONDS[0],
            goal=CSV_MICROSECONDS[1],
            is_more_better=False,
        )


def view_ms(port: int, path: str, secret: str) -> float:
    connection = Connection(port)
    wanted = Request("GET", path, 200, f"Cookie: mindsum-session={secret}\r\n")
    took_ms = []
    for _ in range(VIEWS):
        began = perf_counter()
        connection.send(wanted)
        took_ms.append(1000 * (perf_counter() - began))
    connection.close()
    return median(took_ms)

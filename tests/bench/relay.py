"""One scheduler process sends a full outbox through a near relay, and through a far one."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from app import clock, create_app
from app.config import Settings
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services.bookings import request
from app.services.therapists import accounts
from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus
from tests.bench.measure import Row
from tests.harness.processes import Site
from tests.harness.smtp_server import Accepted, Action, FaultyServer, Stage
from tests.harness.waiting import until

BOOKINGS = 150
"""Each booking has two emails."""
ROUND_TRIPS_MS = (0, 20)


class Relay(FaultyServer):
    """A server that delays every reply by the round trip."""

    def __init__(self, round_trip_ms: float) -> None:
        super().__init__()
        self._round_trip_s = round_trip_ms / 1000
        self.taken_at: list[float] = []

    def action(self, stage: Stage, argument: str) -> Action:
        time.sleep(self._round_trip_s)
        return super().action(stage, argument)

    def add(self, accepted: Accepted) -> None:
        super().add(accepted)
        self.taken_at.append(time.monotonic())


def rows(url: str, folder: Path) -> Iterator[Row]:
    """A row for each round trip: emails a second, and the ratio to no round trip."""
    create_app(Settings(database_url=url))
    database.upgrade()
    with database.connection():
        fill()
    near = 0.0
    for round_trip_ms in ROUND_TRIPS_MS:
        rate = emptied(url, folder, round_trip_ms)
        near = near or rate
        yield f"a round trip of {round_trip_ms} ms", f"{rate:,.0f}", f"{rate / near:.2f}"


def fill() -> None:
    """Make bookings whose emails are not sent."""
    now = clock.now()
    hours = parse_windows("Mon-Sun 00:00-24:00")
    asha = accounts.NewTherapist("bran", "Bran Cole", "bran@t.example", "UTC", 6000, hours)
    accounts.add_therapist(asha, now)
    first = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)
    for number in range(BOOKINGS):
        starts_at = first + timedelta(hours=number)
        email = f"eli{number}@clients.example"
        wanted = request.BookingRequest("bran", "Eli Park", email, "UTC", starts_at, Kind.PAID)
        request.request_booking(wanted, via=Via.PAGE, now=now)


def emptied(url: str, folder: Path, round_trip_ms: float) -> float:
    """Emails a second, from the first that the relay accepted to the last."""
    with database.connection():
        waiting = OutboxEmail.update(
            status=OutboxStatus.QUEUED, due_at=clock.now(), settled_at=None
        ).execute()
    with Relay(round_trip_ms) as relay:
        with Site(url, folder, relay).spawn("scheduler.py"):
            until("an empty outbox", lambda: len(relay.taken_at), lambda sent: sent >= waiting)
        return (waiting - 1) / (relay.taken_at[-1] - relay.taken_at[0])

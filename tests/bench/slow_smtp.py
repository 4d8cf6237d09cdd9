"""Requests and acceptances over HTTP while the mail server misbehaves."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from app import clock, create_app, links
from app.config import Settings
from app.links import LinkPurpose
from app.rules.weekly_hours import parse_windows
from app.services.therapists import accounts
from app.store.db import database
from app.store.db.database import in_transaction
from app.store.models import OutboxEmail
from tests.bench.measure import Row, Times
from tests.harness.processes import Site
from tests.harness.smtp_server import Action, Fault, FaultyServer, Records, Stage, unused_port

ROUNDS = 3
ASKED = 40
THREADS = 4
THERAPISTS = 8
BUSY = "421 4.3.2 come back later"
WELL = "well"
CASES: Mapping[str, Mapping[Stage, Action] | None] = {
    WELL: {},
    "dead: connections refused": None,
    "blackhole: never a word": {"greeting": Fault.SILENCE},
    "421 as greeting": {"greeting": BUSY},
    "421 at MAIL FROM": {"mail": BUSY},
    "421 at RCPT TO": {"rcpt": BUSY},
    "421 at DATA": {"data": BUSY},
    "421 after the content": {"dot": BUSY},
}
"""What the mail server does at which stage; None: no server listens."""


class MailAddress(Records):
    """The port of a mail server that may not run."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port


class BenchSite:
    """A site with therapists, and the port of its mail server, which may not run."""

    def __init__(self, url: str, folder: Path) -> None:
        self.mail_port = unused_port()
        settings = Settings(database_url=url, mail_port=self.mail_port, ratelimit_enabled=False)
        create_app(settings)
        database.upgrade()
        hours = parse_windows("Mon-Sun 00:00-24:00")
        for number in range(THERAPISTS):
            slug = f"asha-{number}"
            accounts.add_therapist(
                accounts.NewTherapist(slug, "Asha Rao", f"{slug}@t.example", "UTC", 6000, hours),
                clock.now(),
            )
        self.site = Site(url, folder, MailAddress(self.mail_port))
        self.site.environment |= {"MAIL_TIMEOUT": "1", "SECRET_KEY": settings.secret_key}
        self._numbers = count()

    def run_round(self, times: Times, script: Mapping[Stage, Action] | None) -> None:
        """Time one round of requests and acceptances while the mail server follows `script`."""
        with ExitStack() as stack:
            if script is not None:
                stack.enter_context(FaultyServer(script, port=self.mail_port))
            requested: list[tuple[str, int]] = []
            numbers = [next(self._numbers) for _ in range(ASKED)]
            times.add(lambda number: requested.append(self._ask(number)), numbers, THREADS)
            times.add(self._accept, requested, THREADS)
        # Emails of this round must not slow the next one.
        in_transaction(OutboxEmail.delete().execute)()

    def _ask(self, number: int) -> tuple[str, int]:
        day, place = divmod(number, THERAPISTS)
        first = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)
        starts_at: datetime = first + timedelta(hours=day)
        person = {"name": "Dee Stone", "email": f"dee{number}@clients.example", "timezone": "UTC"}
        fields = {"client": person, "starts_at": starts_at.isoformat(), "kind": "paid"}
        status, booking = self.site.call(
            "POST", "/api/v1/bookings", {"therapist": f"asha-{place}", **fields}
        )
        assert status == 201, booking
        return booking["reference"], place + 1

    def _accept(self, requested: tuple[str, int]) -> None:
        reference, therapist_id = requested
        token = links.mint(LinkPurpose.ACCEPT, holder=f"t{therapist_id}", subject=reference)
        status, page = self.site.call("POST", f"/link/accept/{token}", form="")
        assert status == 200, page


def rows(url: str, folder: Path) -> Iterator[Row]:
    """A row for each case; the rounds take turns between all cases."""
    bench = BenchSite(url, folder)
    times = {name: Times() for name in CASES}
    with bench.site.running():
        # The first round compiles templates and fills caches; it is not measured.
        bench.run_round(Times(), CASES[WELL])
        for _ in range(ROUNDS):
            for name, script in CASES.items():
                bench.run_round(times[name], script)
    well = times[WELL]
    for name, found in times.items():
        speed = found.per_second / well.per_second
        slower = found.median_ms / well.median_ms
        yield name, *found.cells, f"{speed:.2f}", f"{slower:.2f}"

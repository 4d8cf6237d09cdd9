"""Eight therapists for the tests of faults, available day and night."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import clock
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services.bookings import request
from app.services.therapists import accounts
from app.store.db import database
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer

THERAPISTS = ("asha", "bran", "chi", "asha-2", "bran-2", "chi-2", "asha-3", "bran-3")
RATE_MINOR = 6000


@contextmanager
def opened(database_url: str, folder: Path, mail: MailServer) -> Iterator[Site]:
    """A site with these therapists; no process runs yet. This process follows the site's clock."""
    site = Site(database_url, folder, mail)
    database.bind(database_url)
    clock.follow(folder / "clock")
    with database.connection():
        for name in THERAPISTS:
            accounts.add_therapist(
                accounts.NewTherapist(
                    slug=name,
                    name=name.title(),
                    email=f"{name}@therapists.example",
                    timezone="UTC",
                    rate_minor=RATE_MINOR,
                    windows=parse_windows("Mon-Sun 00:00-24:00"),
                ),
                clock.now(),
            )
    yield site
    clock.follow(None)
    database.bind(database_url)


def first_at() -> datetime:
    """The start of the first session: a full hour, three days ahead."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(days=3)


def ask(number: int) -> str:
    """Request one of many different sessions through the service; its reference."""
    hours, which = divmod(number, len(THERAPISTS))
    starts_at = first_at() + timedelta(hours=hours)
    wanted = request.BookingRequest(
        THERAPISTS[which], "Dee", f"dee{number}@clients.example", "UTC", starts_at, Kind.PAID
    )
    return request.request_booking(wanted, via=Via.API, now=clock.now()).reference

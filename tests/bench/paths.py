"""The hot paths one by one, in this process."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from app import clock, create_app, links
from app.config import Settings
from app.links import LinkPurpose
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services.bookings import request
from app.services.jobs import due
from app.services.therapists import accounts
from app.store.db import database
from app.store.models import Booking
from tests.bench.measure import Row, measured
from tests.scenarios.story import total

BOOKINGS = 300
THREADS = 8


def ask(starts_at: datetime) -> None:
    email = f"dee{starts_at:%m%d%H}@clients.example"
    wanted = request.BookingRequest(
        "asha", "Dee Stone", email, "Europe/London", starts_at, Kind.PAID
    )
    request.request_booking(wanted, via=Via.API, now=clock.now())


def rows(url: str) -> Iterator[Row]:
    """The measured rows, on an empty database."""
    settings = Settings(database_url=url, ratelimit_enabled=False)
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
        token = links.mint(
            LinkPurpose.ACCEPT, holder=f"t{booking.therapist_id}", subject=booking.reference
        )
        answer = app.test_client().post(f"/link/accept/{token}")
        assert answer.status_code == 200, answer.status_code

    yield measured("Find a Therapist", get, ["/"] * 100)
    yield measured("therapist's page with 60 days of open times", get, ["/therapists/asha"] * 30)
    yield measured(f"POST of an Accept link, {THREADS} at once", accept, held, THREADS)
    yield measured(
        f"a sweep with nothing due among {BOOKINGS} bookings",
        lambda _: total(due.expire_enquiries(clock.now())),
        range(100),
    )

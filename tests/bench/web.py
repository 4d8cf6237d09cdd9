"""The web's hot moves end to end, beside the same statements run by the driver alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from flask import Flask

from app import clock, create_app, links
from app.config import Settings
from app.links import LinkPurpose
from app.rules.lifecycle import Kind, Status, Via
from app.rules.weekly_hours import parse_windows
from app.services.bookings import request
from app.services.bookings.request import BookingRequest
from app.services.therapists import accounts
from app.store.db import database, statements
from app.store.db.database import in_transaction
from app.store.models import Booking, HeldTime, Role, Therapist
from tests.bench.figure import IS_QUICK, ROUNDS, Figure, at_most
from tests.bench.load import Request, Timed, answered, taking_turns, timed
from tests.bench.raw import Raw, recorded
from tests.harness.processes import API_KEY, Site
from tests.harness.smtp_server import MailServer
from tests.harness.waiting import until

THERAPISTS = 8
WORKERS = 2
# Of each kind in a round.
MOVES = 200 if IS_QUICK else 480
API_HEADERS = f"Authorization: Bearer {API_KEY}\r\nContent-Type: application/json\r\n"
# Of ratio to the floor.
ACCEPT = {"SQLite": (0.3, 0.5), "PostgreSQL": (0.4, 0.8)}
REQUEST = (0.25, 0.5)


def add_therapist(slug: str, hours: str = "Mon-Sun 00:00-24:00") -> Therapist:
    windows = parse_windows(hours)
    asha = accounts.NewTherapist(slug, "Asha Rao", f"{slug}@t.example", "UTC", 6000, windows)
    return accounts.add_therapist(asha, clock.now())


class Bookings:
    """Therapists, and open times that are asked for once each."""

    def __init__(self) -> None:
        self._numbers = count()
        now = clock.now()
        for number in range(THERAPISTS):
            add_therapist(f"asha-{number}")
        self._first = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)

    def _next(self) -> tuple[int, str, datetime]:
        number = next(self._numbers)
        hour, therapist = divmod(number, THERAPISTS)
        return number, f"asha-{therapist}", self._first + timedelta(hours=hour)

    def wanted(self) -> BookingRequest:
        number, slug, starts_at = self._next()
        email = f"dee{number}@clients.example"
        return BookingRequest(slug, "Dee Stone", email, "Europe/London", starts_at, Kind.PAID)

    def made(self) -> Booking:
        return request.request_booking(self.wanted(), via=Via.API, now=clock.now())

    def request(self) -> Request:
        number, slug, starts_at = self._next()
        person = {"name": "Dee Stone", "email": f"dee{number}@clients.example", "timezone": "UTC"}
        asked = {"therapist": slug, "client": person, "starts_at": starts_at.isoformat()}
        body = json.dumps({**asked, "kind": "paid"})
        return Request("POST", "/api/v1/bookings", 201, API_HEADERS, body)


def accept_path(booking: Booking) -> str:
    holder, subject = f"t{booking.therapist_id}", booking.reference
    return f"/link/accept/{links.mint(LinkPurpose.ACCEPT, holder=holder, subject=subject)}"


def accept_request(booking: Booking) -> Request:
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    return Request("POST", accept_path(booking), 200, form)


class RawMoves:
    """The statements of one accept and one request, for bookings and times of their own."""

    def __init__(self, app: Flask, url: str, bookings: Bookings) -> None:
        *_, like = [bookings.made() for _ in range(THERAPISTS // 2)]
        # Numbers of their own for the next two: no other value of their statements is one of them.
        for number in range(100):
            spare_booking(like, f"MB-T{number}")
        self._model = bookings.made()
        client = app.test_client()
        with recorded() as accepting:
            assert client.post(accept_path(self._model)).status_code == 200
        assert Booking.get_by_id(self._model.id).status is Status.ACCEPTED
        with recorded() as requesting:
            self._asked = bookings.made()
        self.statements = (
            ("an accept", len(accepting), (10, 8)),
            ("a request", len(requesting), (18, 14)),
        )
        self._accept, self._request = Raw(url, accepting), Raw(url, requesting)
        self._numbers = count()
        self._therapists = [add_therapist(f"raw-{number}") for number in range(THERAPISTS)]

    def accept(self, booking: Booking) -> Callable[[], None]:
        model = self._model
        instead = {model.id: booking.id, model.reference: booking.reference}
        for role in Role:
            instead[f"{model.reference}:{role}"] = f"{booking.reference}:{role}"
        return lambda: self._accept.run(instead)

    def request(self) -> Callable[[], None]:
        """Another person asks another therapist at another hour; the booking's number is spare."""
        asked, number = self._asked, next(self._numbers)
        hour, place = divmod(number, THERAPISTS)
        therapist, reference = self._therapists[place], f"MB-R{number}"
        address = f"raw{number}@clients.example"
        later = timedelta(hours=hour) // timedelta(microseconds=1)
        instead: dict[Any, Any] = {
            asked.therapist_id: therapist.id,
            asked.therapist.slug: therapist.slug,
            asked.reference: reference,
            asked.client.email: address,
            asked.id: spare_booking(asked, f"MB-S{number}"),
        }
        for role in Role:
            instead[f"{asked.reference}:{role}"] = f"{reference}:{role}"
        for cell in HeldTime.select().where(HeldTime.booking == asked):
            stored = HeldTime.cell_at.db_value(cell.cell_at)
            instead[stored] = stored + later
        return lambda: self._request.run(instead)


def spare_booking(like: Booking, reference: str) -> int:
    """The id of a booking without timeline, ledger and emails, which the driver adds."""
    columns: dict[str, Any] = {**like.__data__, "reference": reference}
    del columns["id"]
    spare = Booking(**columns)
    in_transaction(statements.insert)(spare)
    return int(spare.id)


@contextmanager
def serving(url: str, folder: Path, settings: Settings) -> Iterator[Site]:
    """The web with its workers, without a scheduler."""
    with MailServer() as mail:
        site = Site(url, folder, mail)
        site.environment |= {
            "SECRET_KEY": settings.secret_key,
            "PRESS_GUARD": "false",
            "WEB_CONCURRENCY": str(WORKERS),
            # Otherwise it is the demo: each worker also has what the demo's mailbox needs.
            "DEMO_DIR": "",
        }
        with site.spawn("-m", "app.serve"):
            until("the web", lambda: reached(site), lambda status: status == 200)
            yield site


def reached(site: Site) -> int:
    try:
        return site.call("GET", "/healthz")[0]
    except OSError:
        return 0


def rounds_of(
    floor: Callable[[], Timed], measure: Callable[[], Timed]
) -> tuple[Timed, Timed, float, float]:
    """The median round's floor and measure; medians of ratio and p99 ÷ p50."""
    # The first one compiles templates and statements; it is not counted.
    measure()
    pairs = [(floor(), measure()) for _ in range(ROUNDS)]
    pairs.sort(key=lambda pair: pair[1].per_second / pair[0].per_second)
    under, measured = pairs[len(pairs) // 2]
    return (
        under,
        measured,
        measured.per_second / under.per_second,
        median(each.spread for _, each in pairs),
    )


def figures(name: str, url: str, folder: Path) -> Iterator[Figure]:
    """Accept by link and a request through the API."""
    settings = Settings(database_url=url, ratelimit_enabled=False, press_guard=False)
    app = create_app(settings)
    database.upgrade()
    with database.connection():
        bookings = Bookings()
        raw = RawMoves(app, url, bookings)
        for what, count, bounds in raw.statements:
            yield at_most(name, f"statements of {what}", "", count, *bounds)
        with serving(url, folder, settings) as site:
            yield from accepts(name, site.port, bookings, raw)
            yield from requests(name, site.port, bookings, raw)


def accepts(name: str, port: int, bookings: Bookings, raw: RawMoves) -> Iterator[Figure]:
    def made() -> list[Booking]:
        return [bookings.made() for _ in range(MOVES)]

    under, measured, ratio, spread = rounds_of(
        lambda: timed(taking_turns([raw.accept(each) for each in made()])),
        lambda: answered(port, [accept_request(each) for each in made()]),
    )
    yield from both(name, "accept by link", ACCEPT[name], under, measured, ratio, spread)


def requests(name: str, port: int, bookings: Bookings, raw: RawMoves) -> Iterator[Figure]:
    under, measured, ratio, spread = rounds_of(
        lambda: timed(taking_turns([raw.request() for _ in range(MOVES)])),
        lambda: answered(port, [bookings.request() for _ in range(MOVES)]),
    )
    yield from both(name, "request by API", REQUEST, under, measured, ratio, spread)


def both(
    database: str,
    name: str,
    bounds: tuple[float, float],
    under: Timed,
    measured: Timed,
    ratio: float,
    spread: float,
) -> Iterator[Figure]:
    yield Figure(
        database=database,
        name=f"{name} ÷ its statements raw",
        unit="/s",
        measured=measured.per_second,
        floor=under.per_second,
        ratio=ratio,
        must=bounds[0],
        goal=bounds[1],
    )
    yield at_most(database, f"{name}, p99 ({measured.p99_ms:.0f} ms) ÷ p50", "", spread, 4, 3)

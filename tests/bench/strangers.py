"""What strangers can measure or hold up: answers by address, and requests beside slow ones."""

import http.client
import random
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from itertools import combinations, count
from pathlib import Path
from urllib.parse import urlencode

from app import clock, create_app
from app.config import Settings
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services import limits
from app.services.bookings import request
from app.services.therapists import accounts
from app.store.db import database
from tests.bench.measure import Row, Times
from tests.harness.processes import Site, is_ok
from tests.harness.smtp_server import LOOPBACK, Records, unused_port
from tests.harness.waiting import PATIENCE_S, until

TRIES = 2_000
SLOW, SLOW_S = 64, 60.0
ELSEWHERE = "127.0.0.2"
ADDRESSES = {
    "client": "client@people.example",
    "therapist": "expert@people.example",
    "nobody": "person@people.example",
}
HALF_A_BODY = (
    b"POST /my-links HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 1000\r\n\r\nemail="
)


class NoMail(Records):
    """The port of a mail server that does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.port = unused_port()


def site_with_people(url: str, folder: Path) -> Site:
    """A site with a therapist, and a client of theirs."""
    settings = Settings(database_url=url, ratelimit_enabled=False)
    create_app(settings)
    database.upgrade()
    hours = parse_windows("Mon-Sun 00:00-24:00")
    now, address = clock.now(), ADDRESSES["therapist"]
    accounts.add_therapist(
        accounts.NewTherapist("asha", "Asha Rao", address, "UTC", 6000, hours), now
    )
    starts_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    request.request_booking(
        request.BookingRequest(
            "asha", "Dee Stone", ADDRESSES["client"], "UTC", starts_at, Kind.FREE_CONSULTATION
        ),
        via=Via.API,
        now=now,
    )
    built = Site(url, folder, NoMail())
    # Without DEMO_DIR limits are those of a real site.
    real = {"DEMO_DIR": "", "CONFIRM_ADDRESS": "new", "SECRET_KEY": settings.secret_key}
    built.environment |= real
    return built


@contextmanager
def served(site: Site) -> Iterator[None]:
    # With a scheduler, which answers what is asked for; its work is part of the noise.
    with site.spawn("-m", "app.serve"), site.spawn("scheduler.py"):
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        yield


class Visitor:
    """One kept connection, and the cookie of its browser."""

    def __init__(self, site: Site, address: str = LOOPBACK) -> None:
        self._connection = http.client.HTTPConnection(
            LOOPBACK, site.port, timeout=PATIENCE_S, source_address=(address, 0)
        )
        self._cookie = ""
        self._numbers, self._requests = count(), count()
        self._starts = site.open_times(60)

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> str:
        number = next(self._numbers)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": self._cookie,
            # Each from a network of its own: one may send only so many requests.
            "X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        }
        self._connection.request(method, path, urlencode(form or {}), headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, (answer.status, path)
        if cookie := answer.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        return text

    def sign_in(self, email: str) -> None:
        self.send("POST", "/sign-in", {"email": email})

    def ask_for_links(self, email: str) -> None:
        self.send("POST", "/my-links", {"email": email})

    def prepare(self) -> None:
        """Open the request form."""
        page = self.send("GET", "/therapists/asha")
        self._form = dict(re.findall(r'name="(csrf_token|form_key)"[^>]*value="([^"]+)"', page))

    def type_request(self, email: str, place: int | None = None) -> None:
        """After `prepare`; for the open time of that place, or the last ones in turn."""
        # Every second start, since a session is longer than the time between two starts.
        last = -1 - 2 * (next(self._requests) % 300)
        starts_at = self._starts[last if place is None else 2 * place]
        typed = {"starts_at": starts_at, "kind": "paid", "name": "Dee Stone", "email": email}
        self.send("POST", "/therapists/asha", {**self._form, **typed, "timezone": "UTC"})


def auc(some: list[float], others: list[float]) -> float:
    """How well the duration alone tells them apart: 0.5 is not at all, 1 is always."""
    ranked = sorted([(each, True) for each in some] + [(each, False) for each in others])
    ranks = sum(place for place, (_, is_some) in enumerate(ranked, 1) if is_some)
    area = (ranks - len(some) * (len(some) + 1) / 2) / (len(some) * len(others))
    return max(area, 1 - area)


def worst_auc(act: Callable[[str], object], prepare: Callable[[], object] | None = None) -> Row:
    """The pair of addresses that is told apart best, and its AUC."""
    took: dict[str, list[float]] = {name: [] for name in ADDRESSES}
    names = [*ADDRESSES] * (TRIES // len(ADDRESSES))
    random.Random(5).shuffle(names)
    for name in names:
        if prepare is not None:
            prepare()
        began = time.perf_counter()
        act(ADDRESSES[name])
        took[name].append(time.perf_counter() - began)
    found = {pair: auc(took[pair[0]], took[pair[1]]) for pair in combinations(ADDRESSES, 2)}
    pair = max(found, key=lambda each: found[each])
    return " / ".join(pair), f"{found[pair]:.3f}"


def told_apart(url: str, folder: Path) -> Iterator[Row]:
    """A row for each form."""
    site = site_with_people(url, folder)
    site.environment |= {"TRUSTED_PROXIES": "1"}
    with served(site):
        visitor = Visitor(site)
        # Warms up, and takes every hold there is: what comes later is taken without one.
        for number in range(limits.PENDING_PER_THERAPIST):
            visitor.sign_in("warm@people.example")
            visitor.prepare()
            visitor.type_request(f"warm{number}@people.example", number)
        yield "sign-in", *worst_auc(visitor.sign_in)
        yield "my links", *worst_auc(visitor.ask_for_links)
        yield "request form", *worst_auc(visitor.type_request, visitor.prepare)


@contextmanager
def slow_connections(site: Site) -> Iterator[None]:
    """So many at every moment: one that the server closes is opened again."""
    is_over = threading.Event()

    def opened() -> socket.socket:
        connection = socket.create_connection((LOOPBACK, site.port), timeout=PATIENCE_S)
        connection.sendall(HALF_A_BODY)
        return connection

    def keep_open() -> None:
        connections = [opened() for _ in range(SLOW)]
        while not is_over.wait(0.1):
            ended = select.select(connections, [], [], 0)[0]
            for each in ended:
                each.close()
            connections = [each for each in connections if each not in ended]
            connections += [opened() for _ in ended]
        for each in connections:
            each.close()

    thread = threading.Thread(target=keep_open)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def beside_slow_ones(url: str, folder: Path) -> Iterator[Row]:
    """Requests from one address, alone and beside slow connections from another."""
    site = site_with_people(url, folder)
    with served(site):
        other = Visitor(site, ELSEWHERE)
        for name, seconds, around in (
            ("alone", SLOW_S / 4, nullcontext()),
            (f"beside {SLOW} slow connections of another address", SLOW_S, slow_connections(site)),
        ):
            with around:
                yield name, *asked_for(other, seconds).cells


def asked_for(visitor: Visitor, seconds: float) -> Times:
    """How long the answers took to a visitor who asks for their links again and again."""
    times, ends_at = Times(), time.monotonic() + seconds
    while time.monotonic() < ends_at:
        times.add(visitor.ask_for_links, ["person@people.example"], threads=1)
    return times

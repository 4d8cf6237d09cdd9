"""Strangers and their scripts at the public form, over HTTP, with two workers and a scheduler."""

import http.client
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask

from app import serve
from app.config import Settings
from app.services import limits
from app.store.models import Booking, HeldTime, PendingRequest
from tests.harness.processes import Site
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import therapist

ASHA = "/therapists/asha"
POSTS = runs(80, 347)
NETWORKS = 10
PRESSES = 100
THREADS = 20
DAY = timedelta(days=1)


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    """A site with Asha behind one proxy; no process runs yet."""
    therapist("Asha Rao", "Europe/London")
    built = Site(database_url, tmp_path, mail)
    built.environment |= {"TRUSTED_PROXIES": "1", "CONFIRM_ADDRESS": "new"}
    return built


@contextmanager
def running(site: Site) -> Iterator[None]:
    command = serve.command(Settings(port=site.port, web_concurrency=2))[1:]
    strict = ["tests.harness.strict_server:worker" if ":" in each else each for each in command]
    with site.spawn(*strict) as web, site.spawn("scheduler.py") as scheduler:
        site.await_ready([web, scheduler])
        yield


class Visitor:
    """A browser that a proxy saw calling from `address`."""

    def __init__(self, site: Site, address: str) -> None:
        self._site, self._address, self._cookie = site, address, ""

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        headers = {"X-Forwarded-For": self._address, "Cookie": self._cookie}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(LOOPBACK, self._site.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, urlencode(form or {}), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            self._cookie = line.partition(";")[0]
        return answer.status, text

    def look(self, path: str = ASHA) -> dict[str, str]:
        """The hidden values of the request form, for `ask`."""
        _, page = self.send("GET", path)
        found = re.findall(r'name="(csrf_token|form_key)"[^>]*value="([^"]+)"', page)
        return dict(found)

    def ask(self, shown: dict[str, str], starts_at: str, email: str) -> int:
        form = {"starts_at": starts_at, "kind": "paid", "name": "Dee Stone", "email": email}
        return self.send("POST", ASHA, {**shown, **form, "timezone": "UTC", "note": ""})[0]


def held() -> int:
    """How many pending requests hold a time."""
    rows = HeldTime.select(HeldTime.pending).where(HeldTime.pending.is_null(False))
    return int(rows.distinct().count())


def score(site: Site) -> float:
    return float(site.call("GET", "/api/v1/therapists/asha")[1]["score"])


def asked(site: Site) -> str:
    """The path of the Confirm Request link of a visitor who has asked for a session."""
    visitor, starts_at = Visitor(site, "203.0.113.9"), site.open_times()[-1]
    assert visitor.ask(visitor.look(), starts_at, "visitor@clients.example") == 303
    [email] = until(
        "the email to confirm",
        lambda: [
            each
            for each in site.emails("confirm_request")
            if each.rcpt_tos == ("visitor@clients.example",)
        ],
        len,
    )
    return site.link(email, "confirm")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_script_from_ten_networks_holds_ten_times_for_half_an_hour_and_no_therapist_hears(
    site: Site,
) -> None:
    def post(number: int) -> int:
        network = number % NETWORKS
        visitor, shown = scripts[network]
        return visitor.ask(shown, starts[number], f"stranger{number}@mail{number % 7}.example")

    with running(site):
        # Every second start, since a session is longer than the time between two starts.
        before, starts = score(site), site.open_times(60)[::2]
        scripts = [
            (each, each.look())
            for each in (Visitor(site, f"198.51.100.{number}") for number in range(NETWORKS))
        ]
        with ThreadPoolExecutor(4) as pool:
            came = Counter(pool.map(post, range(POSTS)))
        # From each network twenty an hour.
        taken = min(POSTS, 20 * NETWORKS)
        assert came == Counter({303: taken, 429: POSTS - taken})
        assert held() == limits.PENDING_PER_THERAPIST
        path = asked(site)
        assert site.call("POST", path, form="")[0] == 200
        booking = Booking.get()
        assert site.email_about("booking_requested", booking.reference)
        assert len(site.emails("booking_requested")) == 1
        site.pass_time(timedelta(minutes=30))
        until("the held times to be free", held, lambda count: count == 0)
        site.pass_time(DAY)
        until("what was typed to be gone", PendingRequest.select().count, lambda count: count == 0)
        # The visitor's own request has expired by now, and its client never came back.
        assert site.call("GET", f"/api/v1/bookings/{booking.reference}")[1]["status"] == "expired"
        assert score(site) == before
        assert Booking.select().count() == 1


def pressed(site: Site, path: str) -> Counter[int]:
    def press(_number: int) -> int:
        return site.call("POST", path, form="")[0]

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(press, range(PRESSES)))


def test_a_hundred_presses_of_one_link_at_once_make_one_booking(site: Site) -> None:
    with running(site):
        path = asked(site)
        assert pressed(site, path) == {200: PRESSES}
        assert Booking.select().count() == 1
        site.email_about("booking_requested", Booking.get().reference)
        assert len(site.emails("booking_requested")) == 1


def test_a_hundred_presses_while_the_link_expires_make_one_booking_or_none(site: Site) -> None:
    with running(site):
        path = asked(site)
        site.pass_time(DAY - timedelta(seconds=3))
        came = pressed(site, path)
        assert set(came) <= {200, 410}
        assert Booking.select().count() == bool(came[200])
        site.pass_time(timedelta(seconds=10))
        assert site.call("POST", path, form="")[0] == 410


def test_a_hundred_presses_beside_a_rival_for_the_time_have_one_winner(site: Site) -> None:
    with running(site):
        path = asked(site)
        starts_at = PendingRequest.get().starts_at.isoformat()
        site.pass_time(timedelta(minutes=30))
        with ThreadPoolExecutor(1) as pool:
            rival = pool.submit(site.ask, starts_at, "eli")
            came = pressed(site, path)
            status, _ = rival.result()
        assert (status, came) in [(201, {409: PRESSES}), (409, {200: PRESSES})]
        assert Booking.select().count() == 1

"""Whatever a program sends to whatever address, no answer is a fault of ours."""

import http.client
import random
import string
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask

from app import config
from tests.harness.processes import API_KEY, Site, is_ok
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios import full_site
from tests.scenarios.full_site import Bookings
from tests.scenarios.story import Story

REQUESTS = runs(400, 10_000)
THREADS = 4
METHODS = (
    "GET", "HEAD", "OPTIONS", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "TRACE",
    "BREW",
)  # fmt: skip
HOSTILE = (
    "", "0", "-1", "9" * 400, "é", "\u202e\u0000", "👩‍👩‍👧", "' OR 1=1 --", "{{ 7*7 }}",
    "%s%n", "../../etc", "\r\nSet-Cookie: a=b", "<script>alert(1)</script>", "\ud7ff\ufffe",
    "A" * 5000, "null", "[]", "NaN", "2026-02-30T25:61:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999999Z", "Nowhere/Zone", "a@b", "dee@clients.example",
    "MB-222222", "asha", "\x1b[2J", "٣", "1e999", "=cmd|' /C calc'!A0",
)  # fmt: skip
FIELDS = (
    "starts_at", "kind", "name", "given_name", "email", "timezone", "note", "form_key",
    "csrf_token", "show", "enter", "from", "days", "page", "day", "tz", "next", "message",
    "reason", "agreed", "at", "therapist", "id", "keep", "instead_of", "choice", "own_device",
    "messages", "sent", "number", "tab",
)  # fmt: skip
HEADERS = (
    "Cookie", "X-Forwarded-For", "Forwarded", "Host", "Referer", "Origin", "Accept",
    "Accept-Language", "Authorization", "If-Modified-Since", "If-None-Match", "Range",
    "User-Agent", "Sec-Fetch-Site", "Idempotency-Key", "X-HTTP-Method-Override",
    "Accept-Encoding", "Expect",
)  # fmt: skip
TYPES = (
    "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x",
    "multipart/form-data", "text/plain; charset=utf-7", "application/xml", "é",
)  # fmt: skip
Request = tuple[str, str, bytes, dict[str, str]]


class Connection(http.client.HTTPConnection):
    """Sends an address and a method as they are."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode()


@pytest.fixture
def bookings(story: Story) -> Bookings:
    return full_site.fill(story)


@pytest.fixture
def site(bookings: Bookings, database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    """A site with bookings in every state; no process runs yet."""
    built = Site(database_url, tmp_path, mail)
    built.environment |= {"SECRET_KEY": config.current().secret_key, "WEB_CONCURRENCY": "2"}
    return built


def paths(app: Flask, drawn: random.Random, known: list[str]) -> str:
    """An address of the site: one that exists, or a route with hostile values in its places."""
    if drawn.random() < 0.4:
        return drawn.choice(known)
    rule = drawn.choice([each.rule for each in app.url_map.iter_rules()])
    filled = "/".join(
        quote(drawn.choice(HOSTILE), safe="") if part.startswith("<") else part
        for part in rule.split("/")
    )
    return filled if drawn.random() < 0.8 else f"{filled}{quote(drawn.choice(HOSTILE))}"


def _pairs(drawn: random.Random) -> str:
    chosen = (drawn.choice(FIELDS) for _ in range(drawn.randint(0, 8)))
    return "&".join(f"{each}={quote(drawn.choice(HOSTILE))}" for each in chosen)


def _json(drawn: random.Random) -> str:
    values = (
        "null",
        "[]",
        "{}",
        '"é"',
        "1e999",
        '"\\ud800"',
        "[" * 2000,
        '{"a":' * 50,
        "-0",
        "true",
    )
    pairs = [f'"{drawn.choice(FIELDS)}": {drawn.choice(values)}' for _ in range(4)]
    return f"{{{', '.join(pairs)}}}" if drawn.random() < 0.7 else drawn.choice(values)


def _body(drawn: random.Random) -> bytes:
    kind = drawn.random()
    if kind < 0.4:
        return _pairs(drawn).encode()
    if kind < 0.7:
        return _json(drawn).encode("utf-8", "surrogatepass")
    if kind < 0.9:
        return drawn.randbytes(drawn.randint(0, 300))
    return b"a" * drawn.choice((1, 70_000, 300_000))


def requests(app: Flask, known: list[str], drawn: random.Random) -> Iterator[Request]:
    """Without end."""
    while True:
        path = paths(app, drawn, known)
        if drawn.random() < 0.5:
            path += f"{'&' if '?' in path else '?'}{_pairs(drawn)}"
        headers = {
            name: "".join(each for each in drawn.choice(HOSTILE) if each in string.printable[:95])
            for name in drawn.sample(HEADERS, drawn.randint(0, 4))
        }
        headers["Content-Type"] = drawn.choice(TYPES).encode().decode("latin-1")
        if path.startswith("/api") and drawn.random() < 0.8:
            headers["Authorization"] = f"Bearer {API_KEY}"
        # Without a hundred-continue from us the client would wait for one.
        headers.pop("Expect", None)
        yield drawn.choice(METHODS), path, _body(drawn), headers


def send_all(site: Site, asked: list[Request]) -> Counter[tuple[int, Request | None]]:
    """How often each status came; with the request, where it is a fault."""
    seen: Counter[tuple[int, Request | None]] = Counter()
    for method, path, body, headers in asked:
        connection = Connection(LOOPBACK, site.port, timeout=PATIENCE_S)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        # Without a scheduler the site is not ready, and says so.
        is_fault = answer.status >= 500 and not path.startswith("/readyz")
        fault = (method, path, body[:200], str(headers)) if is_fault else None
        seen[answer.status, fault] += 1  # type: ignore[index]
    return seen


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_hostile_request_is_answered_with_a_fault(
    story: Story, bookings: Bookings, site: Site
) -> None:
    with story.app.test_request_context():
        known = [*full_site.public(), *full_site.by_link(bookings), *full_site.for_asha(bookings)]
    known += ["/api/openapi.json", "/api/v1/therapists", "/api/v1/therapists/asha/slots"]
    known += [f"/api/v1/bookings/{each.reference}" for each in bookings.values()]
    asked = list(islice(requests(story.app, known, random.Random(runs(11, None))), REQUESTS))
    with site.spawn("-m", "app.serve"), ThreadPoolExecutor(THREADS) as pool:
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        parts = pool.map(lambda part: send_all(site, asked[part::THREADS]), range(THREADS))
        seen = sum(parts, Counter())
        assert site.call("GET", "/")[0] == 200
    assert [fault for _, fault in seen if fault is not None] == []
    assert sum(seen.values()) == REQUESTS
    assert "request_failed" not in site.logs()

"""Slow connections of one address hold up no other visitor."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from flask import Flask

from app import serve
from app.config import Settings
from tests.harness.processes import Site, is_ok
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import therapist

SLOW = runs(24, 64)
ROUNDS = runs(1, 2)
ELSEWHERE = "127.0.0.2"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
BODIES = {
    "a body that stops": b"POST /my-links HTTP/1.1\r\nHost: x\r\n" + FORM
    + b"Content-Length: 1000\r\n\r\nemail=",
    "a body without a length": b"POST /therapists/asha-rao HTTP/1.1\r\nHost: x\r\n" + FORM
    + b"Transfer-Encoding: chunked\r\n\r\n6\r\nemail=\r\n",
    "a body where none belongs": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
}  # fmt: skip
HEADERS = b"POST /my-links HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    """A site with Asha; no process runs yet."""
    therapist("Asha Rao", "Europe/London")
    return Site(database_url, tmp_path, mail)


@contextmanager
def served(site: Site, *command: str) -> Iterator[None]:
    with site.spawn(*command):
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        yield


def patient(site: Site) -> list[str]:
    """The command of a web process that waits an hour for each body."""
    settings = Settings(port=site.port, web_concurrency=2)
    command = serve.command(settings)[1:]
    return ["tests.harness.patient_server:worker" if ":" in each else each for each in command]


@contextmanager
def slow_connections(site: Site, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for _ in range(SLOW):
            connection = socket.create_connection((LOOPBACK, site.port), timeout=PATIENCE_S)
            opened.append(stack.enter_context(connection))
            connection.sendall(sent)
        yield opened


def status_elsewhere(site: Site, method: str, path: str, form: str = "") -> int:
    """Of a request from another address."""
    connection = http.client.HTTPConnection(
        LOOPBACK, site.port, timeout=PATIENCE_S, source_address=(ELSEWHERE, 0)
    )
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, path, form or None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def received(connection: socket.socket) -> bytes:
    """All that the server sent until it closed the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_slow_connections_of_one_address_hold_up_no_other(site: Site) -> None:
    with served(site, *patient(site)):
        for held in (*BODIES.values(), HEADERS):
            # Twice as many requests as two workers have threads, while all connections hang.
            with slow_connections(site, held):
                for number in range(16):
                    assert status_elsewhere(site, "GET", "/healthz") == 200
                    form = f"email=client{number}%40clients.example"
                    assert status_elsewhere(site, "POST", "/my-links", form) == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_body_that_does_not_arrive_in_time_is_refused_and_its_connection_closed(
    site: Site,
) -> None:
    with served(site, "-m", "app.serve"):
        for _ in range(ROUNDS):
            for held in BODIES.values():
                with slow_connections(site, held) as slow:
                    assert status_elsewhere(site, "GET", "/") == 200
                    assert {received(each)[:12] for each in slow} == {b"HTTP/1.1 408"}

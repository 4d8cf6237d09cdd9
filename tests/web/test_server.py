"""Between granian and Flask: bodies with a deadline, a limit and a number at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, request

from app.config import Settings
from app.web import bodies, server, streaming
from app.web.bodies import MAX_DISCARDED
from app.web.server import Server

LIMIT = 1000
Headers = list[tuple[str, str]]


class Exchange:
    """A request as granian hands it over, and the answer to it."""

    def __init__(self, chunks: list[bytes], headers: Headers, *, hangs: bool = False, **scope: Any):
        self._chunks, self._hangs = chunks, hangs
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        self.read = 0
        self.parts: list[bytes] = []
        self.leaves_after = 0
        values = {
            "method": "POST", "path": "/", "query_string": "", "server": "127.0.0.1:8000",
            "client": "192.0.2.1:4711", "http_version": "1.1", "scheme": "http",
            "authority": None, "headers": SimpleNamespace(
                items=lambda: headers
            ),
        }  # fmt: skip
        self.scope = SimpleNamespace(**{**values, **scope})

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.read += len(chunk)
            yield chunk
        if self._hangs:
            await asyncio.Event().wait()
        yield b""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self.answer = status, {name.lower(): value for name, value in headers}, body

    def response_stream(self, status: int, headers: Headers) -> "Exchange":
        self.response_bytes(status, headers, b"")
        return self

    async def send_bytes(self, part: bytes) -> None:
        assert self.answer
        self.parts.append(part)
        if self.leaves_after == len(self.parts):
            raise RuntimeError("granian has an error of its own for this")

    def response_str(self, status: int, headers: Headers, body: str) -> None:
        self.response_bytes(status, headers, body.encode())


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application that repeats what it reads."""
    monkeypatch.setitem(bodies.LIMITS, "body", LIMIT)
    app = Flask("echo")
    app.before_request(bodies.read)
    app.add_url_rule("/", "body", lambda: request.get_data(), methods=["GET", "POST"])
    environ = "/environ", "environ", lambda: repr(sorted(request.environ.items()))
    app.add_url_rule(*environ, methods=["POST"])
    return app


async def exchanged(app: Flask, *exchanges: Exchange, hang: int = 0) -> None:
    """Serve all of them at once; the first `hang` do not end."""
    serving = Server(app, Settings(), threads=2)
    tasks = [asyncio.create_task(serving.__rsgi__(each.scope, each)) for each in exchanges]  # type: ignore[arg-type]
    await asyncio.gather(*tasks[hang:])
    for task in tasks[:hang]:
        task.cancel()


def one(app: Flask, exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
    asyncio.run(exchanged(app, exchange))
    assert exchange.answer
    return exchange.answer


def length(count: int) -> Headers:
    return [("content-length", str(count))]


CHUNKED = [("transfer-encoding", "chunked")]


@pytest.mark.parametrize("headers", [length(8), CHUNKED])
def test_a_body_arrives_whole_with_and_without_a_length(echo: Flask, headers: Headers) -> None:
    status, _, body = one(echo, Exchange([b"note", b"=hey"], headers))
    assert (status, body) == (200, b"note=hey")


@pytest.mark.parametrize("headers", [length(8), CHUNKED])
def test_a_body_that_stops_is_refused_and_its_connection_closed(
    echo: Flask, headers: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_WITHIN_S", 0.01)
    status, said, _ = one(echo, Exchange([b"note"], headers, hangs=True))
    assert (status, said["connection"]) == (408, "close")


@pytest.mark.parametrize(("chunks", "headers"), [([b"note"], length(8)), ([b"note", b""], CHUNKED)])
def test_half_a_body_never_reaches_the_application(
    echo: Flask, chunks: list[bytes], headers: Headers
) -> None:
    status, said, _ = one(echo, Exchange(chunks, headers))
    assert (status, said["connection"]) == (400, "close")


@pytest.mark.parametrize("headers", [length(LIMIT + 1), CHUNKED])
def test_a_body_that_is_too_large_is_heard_out_and_refused(echo: Flask, headers: Headers) -> None:
    sent = Exchange([b"a" * LIMIT, b"b"], headers)
    assert one(echo, sent)[0] == 413
    assert sent.read == LIMIT + 1


def test_a_body_is_heard_out_to_a_bound_only(echo: Flask) -> None:
    sent = Exchange([b"a" * (MAX_DISCARDED // 4)] * 100, CHUNKED)
    assert one(echo, sent)[0] == 413
    assert sent.read <= MAX_DISCARDED * 5 // 4
    told = Exchange([b"a"], length(MAX_DISCARDED + 1))
    assert one(echo, told)[0] == 413
    assert told.read == 0


def test_slow_bodies_of_one_network_leave_room_for_others(echo: Flask) -> None:
    most = server.BODIES // 4
    slow = [Exchange([b"a"], CHUNKED, hangs=True) for _ in range(most)]
    same = Exchange([b"b"], length(1), client="192.0.2.1:9")
    mapped = Exchange([b"b"], length(1), client="[::ffff:192.0.2.1]:9")
    other = Exchange([b"b"], length(1), client="192.0.2.2:9")
    without_body = Exchange([], [], method="POST", path="/environ")
    asyncio.run(exchanged(echo, *slow, same, mapped, other, without_body, hang=most))
    answers = [each.answer and each.answer[0] for each in (same, mapped, other, without_body)]
    assert answers == [503, 503, 200, 200]


def test_the_bodies_in_memory_are_limited_for_all_networks_together(echo: Flask) -> None:
    slow = [
        Exchange([b"a"], CHUNKED, hangs=True, client=f"192.0.2.{number % 250}:1")
        for number in range(server.BODIES)
    ]
    another = Exchange([b"b"], length(1), client="198.51.100.1:1")
    asyncio.run(exchanged(echo, *slow, another, hang=len(slow)))
    assert another.answer
    assert another.answer[0] == 503


def test_large_bodies_are_limited_by_the_memory_they_take_and_hold_up_no_small_ones(
    echo: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bodies.LIMITS, "photo", server.BODIES_MEMORY // 2)
    echo.add_url_rule("/photo", "photo", lambda: "", methods=["POST"])
    slow = [
        Exchange([b"a"], CHUNKED, hangs=True, path="/photo", client=f"192.0.2.{number}:1")
        for number in (1, 2)
    ]
    third = Exchange([b"b"], length(1), path="/photo", client="192.0.2.3:1")
    small = Exchange([b"b"], length(1), client="192.0.2.1:1")
    asyncio.run(exchanged(echo, *slow, third, small, hang=len(slow)))
    assert [each.answer and each.answer[0] for each in (third, small)] == [503, 200]


class _Clock(asyncio.SelectorEventLoop):
    """An event loop whose time is what the test makes it."""

    now = 0.0

    def time(self) -> float:
        return self.now


class _Slow(Exchange):
    """Each chunk takes four seconds."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _Clock)
        for chunk in (*self._chunks, b""):
            loop.now += 4
            # Long enough for the loop to end what is too late.
            for _ in range(3):
                await asyncio.sleep(0)
            yield chunk


@pytest.mark.parametrize(
    ("path", "chunk", "count", "status"),
    [
        ("/photo", 1024 * 1024, 5, 200),
        ("/photo", 256 * 1024, 10, 408),
        ("/photo", 1, 5, 408),
        ("/", 10, 1, 200),
        ("/", 10, 5, 408),
    ],
)
def test_a_photo_that_keeps_arriving_may_take_longer_than_another_body(
    echo: Flask, monkeypatch: pytest.MonkeyPatch, path: str, chunk: int, count: int, status: int
) -> None:
    monkeypatch.setitem(bodies.LIMITS, "photo", bodies.LIMITS["photo.change"])
    echo.add_url_rule("/photo", "photo", lambda: "", methods=["POST"])
    sent = _Slow([b"a" * chunk] * count, CHUNKED, path=path)
    with asyncio.Runner(loop_factory=_Clock) as runner:
        runner.run(exchanged(echo, sent))
    assert sent.answer
    assert sent.answer[0] == status


def test_of_a_body_that_is_too_large_the_application_gets_the_beginning(echo: Flask) -> None:
    echo.register_error_handler(413, lambda _error: request.form.get("note", ""))
    form = [*length(6 * LIMIT), ("content-type", "application/x-www-form-urlencoded")]
    sent = Exchange([b"note=", b"%E2%82%AC" * 400, b"x" * (6 * LIMIT - 3605)], form)
    assert one(echo, sent)[2].decode() == "€" * ((LIMIT - 5) // 9)


def test_the_application_sees_the_request_as_any_wsgi_server_shows_it(echo: Flask) -> None:
    headers = [
        ("host", "mindsum.test"), ("cookie", "a=1"), ("cookie", "b=2"),
        ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "192.0.2.8"),
        ("x_forwarded_for", "192.0.2.9"), ("content-type", "text/plain"),
    ]  # fmt: skip
    sent = Exchange([], headers, method="POST", path="/environ", client="[2001:db8::1]:4711")
    shown = one(echo, sent)[2].decode()
    for name, value in {
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_FORWARDED_FOR": "192.0.2.7,192.0.2.8",
        "HTTP_HOST": "mindsum.test",
        "CONTENT_TYPE": "text/plain",
        "REMOTE_ADDR": "2001:db8::1",
        "PATH_INFO": "/environ",
    }.items():
        assert f"({name!r}, {value!r})" in shown


class Rows:
    """An answer in parts, of which one may fail; knows whether it was closed."""

    def __init__(self, *parts: bytes, fails: bool = False) -> None:
        self._parts, self._fails = parts, fails
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        if self._fails:
            raise OSError("the database is gone")

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The callers whose connections were closed."""
    callers: list[str] = []
    monkeypatch.setattr(streaming, "cut_off", callers.append)
    return callers


def streamed(rows: Rows, *, leaves_after: int = 0) -> Exchange:
    """The exchange in which those rows are asked for."""
    app = Flask("rows")
    app.add_url_rule("/", "rows", lambda: Response(rows))  # type: ignore[arg-type]
    exchange = Exchange([], [], method="GET")
    exchange.leaves_after = leaves_after
    one(app, exchange)
    assert rows.is_closed
    return exchange


def test_an_answer_of_unknown_length_is_sent_in_parts(cut: list[str]) -> None:
    exchange = streamed(Rows(b"one", b"two"))
    assert exchange.parts == [b"one", b"two"]
    assert exchange.answer and "content-length" not in exchange.answer[1]
    assert cut == []


def test_an_answer_that_fails_midway_is_cut_off(cut: list[str]) -> None:
    assert streamed(Rows(b"one", fails=True)).parts == [b"one"]
    assert cut == ["192.0.2.1:4711"]


def test_a_reader_who_leaves_ends_the_answer(cut: list[str]) -> None:
    assert streamed(Rows(b"one", b"two", fails=True), leaves_after=1).parts == [b"one"]
    assert cut == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_of_all_connections_only_the_callers_is_closed(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        address = listening.getsockname()[:2]
        pairs = [(socket.create_connection(address), listening.accept()[0]) for _ in range(2)]
        (cut, _), (other, served) = pairs
        peer, port = cut.getsockname()[:2]
        streaming.cut_off(f"[{peer}]:{port}" if ":" in peer else f"{peer}:{port}")
        assert cut.recv(10) == b""
        served.sendall(b"still here")
        assert other.recv(10) == b"still here"
        for each in (connection for pair in pairs for connection in pair):
            each.close()

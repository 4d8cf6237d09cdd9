"""Between granian and Flask: a request takes a thread only once its whole body has arrived."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Flask

from app.config import Settings
from app.web import streaming
from app.web.bodies import MAX_DISCARDED, limit_at
from app.web.callers import Callers, network
from app.web.threads import Threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope

BODY_WITHIN_S = 10.0
# A photo needs longer on a phone: it gets a second more for so many bytes that have arrived.
SLOWEST = 128 * 1024
# Of the bodies with one limit, a worker reads so many at the same time, or what fits into the
# memory if that is less; of one network a quarter of them.
BODIES = 256
BODIES_MEMORY = 64 * 1024 * 1024
_CLOSING = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text


class Server:
    """Answers granian's RSGI requests with a WSGI application that runs in `threads`."""

    def __init__(self, app: Flask, settings: Settings, threads: int) -> None:
        self._app = app
        self._threads = Threads(threads)
        self._callers = Callers(settings.trusted_proxies)
        # How many bodies with one limit are being read: of one network, and in all.
        self._reading: Counter[tuple[int, str | None]] = Counter()

    async def __rsgi__(self, scope: "Scope", protocol: "HTTPProtocol") -> None:
        environ = _environ(scope)
        try:
            if _has_body(environ):
                await self._read_body(environ, protocol)
        except _Refused as refused:
            protocol.response_str(refused.status, _CLOSING, f"{refused.text}\n")
            return
        status, headers, body = await self._threads.run(self._answer, environ)
        if isinstance(body, bytes):
            protocol.response_bytes(status, headers, body)
        else:
            await streaming.send(scope, protocol, self._threads, (status, headers, body))

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._threads.close()

    async def _read_body(self, environ: "WSGIEnvironment", protocol: "HTTPProtocol") -> None:
        declared = int(environ.get("CONTENT_LENGTH", 0))
        if declared > MAX_DISCARDED:
            # The application refuses it by its length.
            return
        caller = self._callers.address(environ)
        limit = limit_at(self._app, environ["PATH_INFO"], environ["REQUEST_METHOD"])
        with self._place(network(caller) if caller else "", limit):
            try:
                async with asyncio.timeout(BODY_WITHIN_S) as deadline:
                    body, length = await _received(protocol, limit, deadline)
            except TimeoutError:
                raise _Refused(408, "Your request took too long to arrive.") from None
        if length < declared:
            raise _Refused(400, "Your request did not arrive in full.")
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(length)}

    @contextmanager
    def _place(self, network: str, limit: int) -> Iterator[None]:
        most = min(BODIES, BODIES_MEMORY // limit)
        places = {(limit, network): max(most // 4, 1), (limit, None): most}
        if any(self._reading[place] >= count for place, count in places.items()):
            raise _Refused(503, "Too many requests are arriving. Please try again in a minute.")
        self._reading.update(places.keys())
        try:
            yield
        finally:
            self._reading.subtract(places.keys())
            for place in places:
                if not self._reading[place]:
                    del self._reading[place]

    def _answer(
        self, environ: "WSGIEnvironment"
    ) -> tuple[int, streaming.Headers, bytes | Iterable[bytes]]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            started[:] = int(status[:3]), headers

        chunks = self._app(environ, start_response)
        if streaming.is_streamed(environ["REQUEST_METHOD"], *started):
            return started[0], started[1], chunks
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = started
        return status, headers, body


async def _received(
    protocol: "HTTPProtocol", limit: int, deadline: asyncio.Timeout
) -> tuple[bytes, int]:
    """The first `limit` bytes of the body, and its length: it is heard out to a bound."""
    body, length, empty = bytearray(), 0, 0
    first, is_photo = deadline.when() or 0, limit > BODY_WITHIN_S * SLOWEST
    async for chunk in protocol:
        length += len(chunk)
        empty += not chunk
        if length > MAX_DISCARDED:
            break
        body += chunk[: limit - len(body)]
        if is_photo:
            deadline.reschedule(first + len(body) / SLOWEST)
    # granian gives an empty chunk at the end, and one more where the connection broke.
    if empty > 1:
        raise _Refused(400, "Your request did not arrive in full.")
    return bytes(body), length


def _has_body(environ: "WSGIEnvironment") -> bool:
    if "CONTENT_LENGTH" in environ:
        return bool(environ["CONTENT_LENGTH"] != "0")
    # HTTP/2 needs neither header.
    is_http2 = environ["SERVER_PROTOCOL"] == "HTTP/2"
    return "HTTP_TRANSFER_ENCODING" in environ or is_http2


def _environ(scope: "Scope") -> "WSGIEnvironment":
    host, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        # An underscore would pass for a dash: X_Forwarded_For for X-Forwarded-For.
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        between = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{between}{value}" if key in environ else value
    environ.setdefault("HTTP_HOST", scope.authority or "")
    return environ

"""Answers that are sent as they are made; one that fails midway breaks visibly."""

import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian._granian import RSGIHTTPStreamTransport as Transport
    from granian.rsgi import Scope

    from app.web.threads import Threads

Headers = list[tuple[str, str]]

# This process's open files, on Linux and elsewhere.
_OPEN_FILES = Path("/dev/fd")

_log = structlog.get_logger("mindsum")


def is_streamed(method: str, status: int, headers: Headers) -> bool:
    """Whether an answer's length is not known before it is made."""
    has_length = any(name.lower() == "content-length" for name, _ in headers)
    return method == "GET" and status == 200 and not has_length


async def send(
    scope: "Scope",
    protocol: "HTTPProtocol",
    threads: "Threads",
    answer: tuple[int, Headers, Iterable[bytes]],
) -> None:
    """Each part is made in a thread; none is kept while a slow reader takes it."""
    status, headers, chunks = answer
    parts = iter(chunks)
    transport = protocol.response_stream(status, headers)
    try:
        while part := await threads.run(next, parts, b""):
            if not await _is_sent(transport, part):
                return
    except Exception as error:
        # Otherwise granian would end the answer as if it were whole.
        cut_off(scope.client)
        _log.error("answer_cut_off", exc_info=error)
    finally:
        close = getattr(chunks, "close", lambda: None)
        await threads.run(close)


async def _is_sent(transport: "Transport", part: bytes) -> bool:
    """False where the reader has left."""
    try:
        await transport.send_bytes(part)
    # Of a class that granian does not publish.
    except Exception:
        return False
    return True


def cut_off(peer: str) -> None:
    """Close this process's connection from `peer`, an address and a port."""
    for number in [int(each.name) for each in _OPEN_FILES.iterdir()]:
        # Others may be closed just now.
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as connection:
                    if _is_from(connection.getpeername(), peer):
                        connection.shutdown(socket.SHUT_RDWR)


def _is_from(name: Any, peer: str) -> bool:
    host, _, port = peer.rpartition(":")
    if not isinstance(name, tuple) or str(name[1]) != port:
        return False
    return ip_address(name[0]) == ip_address(host.strip("[]"))

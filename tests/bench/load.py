"""Sixteen clients with connections that stay open; every answer's status is checked."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import quantiles

from tests.harness.smtp_server import LOOPBACK
from tests.harness.waiting import PATIENCE_S

CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    status: int
    headers: str = ""
    body: str = ""

    @property
    def sent(self) -> bytes:
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n{self.headers}"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n{self.body}".encode()


@dataclass(frozen=True, slots=True)
class Timed:
    per_second: float
    median_ms: float
    p99_ms: float

    @property
    def spread(self) -> float:
        return self.p99_ms / self.median_ms


def timed(act: Callable[[int], Callable[[], object] | None], threads: int = CLIENTS) -> Timed:
    """Run what `act` gives each thread, again and again until it is None, all threads at once."""
    each_ms: list[float] = []
    failures: list[BaseException] = []
    start = threading.Barrier(threads + 1)

    def run(number: int) -> None:
        own: list[float] = []
        start.wait()
        try:
            while (once := act(number)) is not None:
                began = time.perf_counter()
                once()
                own.append((time.perf_counter() - began) * 1000)
        except BaseException as failure:
            failures.append(failure)
        each_ms.extend(own)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in running:
        thread.join()
    took_s = time.perf_counter() - began
    if failures:
        raise failures[0]
    hundredths = quantiles(each_ms, n=100)
    return Timed(len(each_ms) / took_s, hundredths[49], hundredths[98])


def taking_turns(acts: Sequence[Callable[[], object]]) -> Callable[[int], Callable[[], object]]:
    """For `timed`: each of them once."""
    queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
    for each in acts:
        queue.put(each)

    def following(_: int) -> Callable[[], object] | None:
        try:
            return queue.get_nowait()
        except Empty:
            return None

    return following  # type: ignore[return-value] # None ends it


def answered(port: int, requests: Sequence[Request]) -> Timed:
    """Send each of them once."""
    connections = [Connection(port) for _ in range(CLIENTS)]
    queue: SimpleQueue[Request] = SimpleQueue()
    for each in requests:
        queue.put(each)

    def following(number: int) -> Callable[[], object] | None:
        try:
            wanted = queue.get_nowait()
        except Empty:
            return None
        return lambda: connections[number].send(wanted)

    try:
        return timed(following)
    finally:
        for connection in connections:
            connection.close()


class Connection:
    """One client's, which stays open."""

    # http.client would take more of the machine than the server does.

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, wanted: Request) -> bytes:
        """The body of the answer. AssertionError for another status."""
        self._socket.sendall(wanted.sent)
        data = b"".join(self._answer())
        status = int(data[9:12])
        assert status == wanted.status, (wanted.path, status, data[:2000])
        return data.partition(b"\r\n\r\n")[2]

    def _answer(self) -> Iterator[bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        yield data
        head, _, body = data.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            yield from self._chunks(body)
            return
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        left = length - len(body)
        while left > 0:
            received = self._received()
            left -= len(received)
            yield received

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        """The rest of a body in parts, with their lengths."""
        left = -1
        while left != len(b"\r\n"):
            # A size in a line, so many bytes and a line's end; the last one has no bytes.
            while b"\r\n" not in data:
                data += (received := self._received())
                yield received
            size, _, data = data.partition(b"\r\n")
            left = int(size, 16) + len(b"\r\n")
            while len(data) < left:
                data += (received := self._received())
                yield received
            data = data[left:]

    def _received(self) -> bytes:
        received = self._socket.recv(65_536)
        assert received, "the server closed the connection"
        return received

    def close(self) -> None:
        self._socket.close()

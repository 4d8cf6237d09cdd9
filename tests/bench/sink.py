"""A mail server of its own process that takes everything, a chosen round trip away."""

import asyncio
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import IO, Self

from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, Records
from tests.harness.waiting import until

OFFERS = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n"
REPLIES = {b"DATA": b"354 go ahead\r\n", b"EHLO": OFFERS, b"QUIT": b"221 bye\r\n"}


class Conversation(asyncio.Protocol):
    """What arrives together is answered together, one round trip later."""

    def __init__(self, round_trip_s: float) -> None:
        self._round_trip_s = round_trip_s
        self._is_content = False
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reply(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        replies = b""
        while (reply := self._next_reply()) is not None:
            replies += reply
        if replies:
            self._reply(replies)

    def _next_reply(self) -> bytes | None:
        end = b"\r\n.\r\n" if self._is_content else b"\r\n"
        command, found, rest = self._unread.partition(end)
        if not found:
            return None
        self._unread = rest
        if self._is_content:
            self._is_content = False
            print(time.monotonic(), flush=True)  # noqa: T201 - read by the benchmark
            return b"250 taken\r\n"
        verb = command[:4].upper()
        self._is_content = verb == b"DATA"
        return REPLIES.get(verb, b"250 fine\r\n")

    def _reply(self, replies: bytes) -> None:
        if self._round_trip_s:
            asyncio.get_running_loop().call_later(
                self._round_trip_s, self._transport.write, replies
            )
        else:
            self._transport.write(replies)


async def serve(round_trip_s: float) -> None:
    """Print the port, then the moment of each message taken, until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(round_trip_s), LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - read by the benchmark
    await server.serve_forever()


class Sink(Records):
    """The server as a process; `taken_at` are the (monotonic) moments of what it took."""

    host = LOOPBACK

    def __init__(self, round_trip_ms: float = 0) -> None:
        super().__init__()
        self._round_trip_ms = round_trip_ms
        self.taken_at: list[float] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sink", str(self._round_trip_ms)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.taken_at.append(float(line))

    def wait_until_taken(self, count: int) -> list[float]:
        until(f"{count} emails", lambda: len(self.taken_at), lambda taken: taken >= count,
              patience_s=600)  # fmt: skip
        return self.taken_at[:count]


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))

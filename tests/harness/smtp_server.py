"""SMTP servers on loopback: one that records what it takes, and one that fails by a script."""

import asyncio
import enum
import io
import itertools
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from functools import lru_cache
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from app.demo.maildir import LocalMailServer, parse

LOOPBACK = "127.0.0.1"
PATIENCE_S = 60
"""How long to wait for another thread or process; a busy machine may stop it for seconds."""

NOT_CALLED_LOOPBACK = "0.0.0.0"
"""An address of loopback that the mailer does not recognise as such: it verifies certificates."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that a server took: its envelope and its bytes."""

    envelope_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes

    @property
    def kind(self) -> str:
        """The kind of one of our emails; the rest, which takes milliseconds, is not parsed."""
        found = re.search(rb"^X-Mindsum-Email: (\w+)\r$", self.raw, re.MULTILINE)
        return found[1].decode() if found else ""

    @property
    def parsed(self) -> EmailMessage:
        return _parsed(self.raw)


@lru_cache(maxsize=4096)
def _parsed(raw: bytes) -> EmailMessage:
    # Cached: a test that waits for one email parses all of them many times.
    return parse(raw)


class Records:
    """What a server took, in order; safe to read and to wait for from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.clear()

    def clear(self) -> None:
        with self._changed:
            self._accepted: list[Accepted] = []
            self.connections = 0
            self.logins: list[bytes] = []

    @property
    def messages(self) -> list[Accepted]:
        with self._changed:
            return list(self._accepted)

    def add(self, accepted: Accepted) -> None:
        with self._changed:
            self._accepted.append(accepted)
            self._changed.notify_all()

    def count_connection(self) -> None:
        with self._changed:
            self.connections += 1

    def wait_for(self, count: int, timeout: float = PATIENCE_S) -> list[Accepted]:
        """The messages once there are `count` or more; AssertionError after `timeout` seconds."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._accepted) >= count, timeout)
            to = [", ".join(each.rcpt_tos) for each in self._accepted]
            assert came, f"{len(to)} of {count} messages came in {timeout} s, to {to}"
            return list(self._accepted)


class MailServer(Records):
    """An ordinary server (aiosmtpd) on a free port of loopback, as a context manager.

    `on_recipient` is called with each recipient's address, in a thread; a string that it returns
    is the server's reply. `on_message` is called in a thread before a message is taken.
    """

    host = LOOPBACK

    def __init__(
        self,
        *,
        takes_utf8: bool = True,
        on_recipient: Callable[[str], str | None] = lambda _address: None,
        on_message: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self._on_recipient = on_recipient
        self._on_message = on_message
        self._server = LocalMailServer(self, LOOPBACK, 0, takes_utf8=takes_utf8)
        self.port: int = self._server.port

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, host: str, replies: list[str]
    ) -> list[str]:
        session.host_name = host
        self.count_connection()
        return [*replies[:-1], "250-PIPELINING", replies[-1]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if reply := await asyncio.to_thread(self._on_recipient, address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Known"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        await asyncio.to_thread(self._on_message)
        raw = envelope.original_content or b""
        self.add(Accepted(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw))
        return "250 2.0.0 Taken"


OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "AUTH PLAIN LOGIN")


class Fault(enum.Enum):
    """What a server can do instead of answering."""

    DROP = "hangs up without a reply"
    SILENCE = "never answers"
    DRIP = "answers without end, byte by byte"
    REPLY_THEN_DROP = "answers as usual, then hangs up"


Action = str | Fault | None
"""A reply to give (421 hangs up after it), a fault, or None for the usual."""

Stage = str
"""greeting, ehlo, starttls, auth, mail, rcpt, data, dot (after the content), rset, quit; or
`rcpt ADDRESS` for one recipient only."""


class FaultyServer(Records):
    """A server of bare sockets that follows `script`: what to do at which stage.

    A sequence of actions is for the first, second, ... time that the stage is reached; after the
    last one the server answers as usual. `tls` serves STARTTLS, or with `implicit_tls` TLS from
    the start. `port` 0 is any free one.
    """

    host = LOOPBACK

    def __init__(
        self,
        script: Mapping[Stage, Action | Sequence[Action]] | None = None,
        *,
        offers: Sequence[str] = OFFERS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__()
        self._script = {
            stage: iter(what) if isinstance(what, (list, tuple)) else itertools.repeat(what)
            for stage, what in (script or {}).items()
        }
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.offers = [*offers, *(["STARTTLS"] if tls and not implicit_tls else [])]
        self.commands: list[str] = []
        self.stopping = threading.Event()
        self._server = _Listener((LOOPBACK, port), _Conversation)
        self._server.faulty = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def action(self, stage: Stage, argument: str) -> Action:
        for key in (f"{stage} {argument}", stage):
            if key in self._script:
                return next(self._script[key], None)
        return None


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    faulty: FaultyServer

    def __init__(self, address: tuple[str, int], conversation: type["_Conversation"]) -> None:
        super().__init__(address, conversation)
        self.conversations: set[_Conversation] = set()

    def hang_up(self) -> None:
        """End the open conversations, silent ones too."""
        for each in list(self.conversations):
            with suppress(OSError):
                each.request.shutdown(socket.SHUT_RDWR)


class _Conversation(socketserver.BaseRequestHandler):
    server: _Listener
    request: socket.socket
    lines: io.BufferedReader

    def handle(self) -> None:
        self.faulty = self.server.faulty
        self.faulty.count_connection()
        self.server.conversations.add(self)
        self.request.settimeout(PATIENCE_S)
        if self.faulty.stopping.is_set():
            return
        # In many of these tests the client hangs up.
        with suppress(OSError):
            if self.faulty.implicit_tls:
                self._encrypt()
            self.lines = self.request.makefile("rb")
            if self._answer("greeting", "220 mail.test ready"):
                self._converse()

    def finish(self) -> None:
        self.server.conversations.discard(self)
        if hasattr(self, "lines"):
            self.lines.close()
        self.request.close()

    def _encrypt(self) -> None:
        assert self.faulty.tls is not None
        self.request = self.faulty.tls.wrap_socket(self.request, server_side=True)

    def _converse(self) -> None:
        while line := self.lines.readline().decode("utf-8").rstrip("\r\n"):
            self.faulty.commands.append(line)
            verb, _, rest = line.partition(" ")
            stage = verb.lower()
            if stage in {"mail", "rcpt"}:
                rest = rest.partition("<")[2].partition(">")[0]
            if not self._step(stage, rest):
                return

    def _step(self, stage: Stage, rest: str) -> bool:
        """Play one command; False once the conversation is over."""
        match stage:
            case "ehlo":
                lines = ["mail.test", *self.faulty.offers]
                usual = "".join(f"250-{one}\r\n" for one in lines[:-1]) + f"250 {lines[-1]}"
                return self._answer("ehlo", usual)
            case "starttls":
                if not self._answer("starttls", "220 go ahead"):
                    return False
                self.lines.close()
                self._encrypt()
                self.lines = self.request.makefile("rb")
                return True
            case "auth":
                self.faulty.logins.append(rest.encode())
                return self._answer("auth", "235 welcome")
            case "mail":
                self.sender, self.recipients = rest, list[str]()
                goes_on = self._answer("mail", "250 fine", rest)
                self.has_sender = not self.was_scripted
                return goes_on
            case "rcpt":
                usual = "250 fine" if self.has_sender else "503 5.5.1 no sender"
                goes_on = self._answer("rcpt", usual, rest)
                self.recipients += [rest] * (self.has_sender and not self.was_scripted)
                return goes_on
            case "data":
                usual = "354 go ahead" if self.recipients else "554 5.5.1 no valid recipients"
                return self._answer("data", usual) and self._take_content()
            case "quit":
                self._answer("quit", "221 bye")
                return False
        return self._answer(stage, "250 fine")

    def _take_content(self) -> bool:
        if self.was_scripted or not self.recipients:
            return True
        raw = b""
        while (line := self.lines.readline()) != b".\r\n":
            if not line:
                return False
            raw += line.removeprefix(b".")
        action = self.faulty.action("dot", "")
        if action is None or action in (Fault.DROP, Fault.REPLY_THEN_DROP):
            self.faulty.add(Accepted(self.sender, tuple(self.recipients), raw))
        return self._play(action, "250 taken")

    def _answer(self, stage: Stage, usual: str, argument: str = "") -> bool:
        action = self.faulty.action(stage, argument)
        self.was_scripted = action is not None
        return self._play(action, usual)

    def _play(self, action: Action, usual: str) -> bool:
        match action:
            case Fault.DROP:
                return False
            case Fault.SILENCE:
                self.lines.read()
                return False
            case Fault.DRIP:
                while not self.faulty.stopping.wait(0.02):
                    self.request.sendall(b"2")
                return False
            case Fault.REPLY_THEN_DROP:
                self.request.sendall(usual.encode() + b"\r\n")
                return False
        reply = usual if action is None else action
        self.request.sendall(reply.encode() + b"\r\n")
        return not reply.startswith("421")


_HELD: list[socket.socket] = []


def unused_port() -> int:
    """A port of loopback where nothing listens.

    It stays bound as long as this process lives, so that the system gives it to no other program;
    with SO_REUSEADDR a server can still bind it by its number.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((LOOPBACK, 0))
    _HELD.append(held)
    port: int = held.getsockname()[1]
    return port

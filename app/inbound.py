"""The mail door as a process, `python -m app.inbound`: SMTP or LMTP until it is stopped."""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from app import clock, config, create_app, listening
from app.config import Settings
from app.errors import ConfigError, DomainError
from app.services.inbound import addresses
from app.services.inbound.receive import Taken, receive
from app.smtp_server import SmtpServer
from app.store.db import database, errors

# Lines of HTML are often longer than the 998 characters of RFC 5322.
LONGEST_LINE = 256 * 1024
# Recipients of one message; a reply has one, a copy of it seldom more.
MOST_RECIPIENTS = 20
# Each waits for the database.
THREADS = 4
NULL_SENDERS = frozenset({"", "<>", None})

_REPLIES = {
    Taken.STORED: "250 2.0.0 Stored",
    Taken.REPEATED: "250 2.0.0 Stored before",
    Taken.UNKNOWN: "550 5.1.1 No such address here",
    Taken.TOO_MANY: "452 4.7.1 Too many messages for this address; try again later",
}
_UNAVAILABLE = "451 4.3.0 Cannot store messages now; try again later"

_log = structlog.get_logger("mindsum")


class Door:
    """What the server asks: whether an address is ours, and to store a message."""

    def __init__(self, app: Flask, *, is_lmtp: bool) -> None:
        self._app = app
        self._is_lmtp = is_lmtp
        self._threads = ThreadPoolExecutor(THREADS, "mail-door")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        reply: str = await self._in_thread(self._check, address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        replies = await self._in_thread(self._store, envelope)
        # LMTP has a reply for each recipient; SMTP has one, so the worst of them.
        return "\r\n".join(replies) if self._is_lmtp else max(replies)

    async def _in_thread(self, work: Any, argument: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, argument)

    def _check(self, address: str) -> str:
        try:
            with self._app.app_context(), database.connection():
                is_ours = addresses.owner_of(address) is not None
        except (DomainError, *errors.DATABASE_ERRORS) as error:
            return _unavailable(error)
        if is_ours:
            return "250 2.1.5 OK"
        _log.info("mail_refused", why="unknown address")
        return _REPLIES[Taken.UNKNOWN]

    def _store(self, envelope: Envelope) -> list[str]:
        raw, sender = envelope.original_content or b"", envelope.mail_from
        return [self._store_one(each, raw, sender) for each in envelope.rcpt_tos]

    def _store_one(self, address: str, raw: bytes, sender: str | None) -> str:
        try:
            with self._app.app_context(), database.connection():
                is_from_server = sender in NULL_SENDERS
                taken = receive(address, raw, is_from_server=is_from_server, now=clock.now())
        except (DomainError, *errors.DATABASE_ERRORS) as error:
            return _unavailable(error)
        return _REPLIES[taken]


def _unavailable(error: Exception) -> str:
    _log.error("mail_door_failed", why=type(error).__name__)
    return _UNAVAILABLE


class DoorSMTP(SMTP):
    line_length_limit = LONGEST_LINE


class DoorLMTP(LMTP):
    line_length_limit = LONGEST_LINE

    # Recipients whose replies to the message are due.
    _due = 0

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        self._due = len(self.envelope.rcpt_tos) if self.envelope else 0
        try:
            await super().smtp_DATA(arg)
        finally:
            self._due = 0

    async def push(self, status: Any) -> None:
        is_last = self._due and not str(status).startswith(("354", "503", "501"))
        if is_last and "\r\n" not in str(status):
            # aiosmtpd refuses a message that is too large with one reply.
            status = "\r\n".join([str(status)] * self._due)
        await super().push(status)


def door_server(app: Flask, settings: Settings) -> SmtpServer:
    """The listening server. Raises OSError if its port is taken."""
    return SmtpServer(
        Door(app, is_lmtp=settings.inbound_lmtp),
        listening.listen(settings.inbound_bind, settings.inbound_port),
        DoorLMTP if settings.inbound_lmtp else DoorSMTP,
        # Otherwise aiosmtpd asks the DNS for this machine's name.
        server_hostname=settings.inbound_domain,
        enable_SMTPUTF8=True,
        ident="Mindsum",
    )


def serve(app: Flask, settings: Settings) -> int:
    """Until SIGTERM or SIGINT. Raises ConfigError where it cannot listen."""
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server's thread starts, so that it leaves them to `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    if settings.inbound_domain is None:
        _log.info("mail_door_closed", why="INBOUND_DOMAIN is not set")
        signal.sigwait(stops)
        return 0
    try:
        server = door_server(app, settings)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        port = settings.inbound_port
        raise ConfigError("INBOUND_PORT", f"should be a free port, not {port} ({reason})") from None
    server.start()
    protocol = "LMTP" if settings.inbound_lmtp else "SMTP"
    _log.info("mail_door_open", port=server.port, protocol=protocol, pid=os.getpid())
    signal.sigwait(stops)
    # What was answered with 250 is stored; what was not is sent again.
    server.stop()
    _log.info("mail_door_stopped", pid=os.getpid())
    return 0


def main() -> int:
    """Exit status 2 for a bad setting."""
    try:
        settings = config.load()
        return serve(create_app(settings), settings)
    except ConfigError as error:
        print(f"inbound: {error}", file=sys.stderr)  # noqa: T201 - to the terminal
        return 2


if __name__ == "__main__":
    sys.exit(main())

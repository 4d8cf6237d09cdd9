"""An smtplib client that a mail server has let in: connected, encrypted, logged in."""

import io
import ipaddress
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.mailer.outcomes import (
    MailBlocked,
    MailDeferred,
    Stage,
    error_from_reply,
    mail_errors,
)

# A server may scan a whole message before it replies.
FINAL_REPLY_TIMEOUTS = 3
# By QUIT the server has taken everything, so its reply is not worth a wait.
QUIT_TIMEOUT_S = 1.0


class _Replies(io.RawIOBase):
    """A socket's bytes until `until_s` (monotonic), however slowly they come."""

    until_s = 0.0

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self.until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)
        return self._sock.recv_into(buffer)


class Client(smtplib.SMTP):
    """Its socket's timeout is for each whole reply; smtplib's own is for each read."""

    def getreply(self) -> tuple[int, bytes]:
        assert self.sock is not None
        timeout = self.sock.gettimeout()
        assert timeout is not None
        if self.file is None:
            self._replies = _Replies(self.sock)
            self.file = io.BufferedReader(self._replies)
        self._replies.until_s = time.monotonic() + timeout
        try:
            return super().getreply()
        finally:
            # Seldom: at a system call another thread takes over.
            if self.sock is not None and self.sock.gettimeout() != timeout:
                self.sock.settimeout(timeout)


class TLSClient(Client, smtplib.SMTP_SSL):
    """Encrypted from the first byte."""


def open_client(mail: Any, timeout: float) -> smtplib.SMTP:
    """Connect, encrypt and log in as `mail` (Flask-Mail's state) says. Raises MailError."""
    context = _tls_context(mail.server) if mail.use_tls or mail.use_ssl else None
    # Without a name smtplib asks DNS for one, which has no timeout.
    name = socket.gethostname()
    where = {"host": mail.server, "port": mail.port, "timeout": timeout, "local_hostname": name}
    with mail_errors("connect"):
        if mail.use_ssl:
            client: smtplib.SMTP = TLSClient(**where, context=context)
        else:
            client = Client(**where)
    try:
        _set_up(client)
        _say_hello(client)
        if mail.use_tls:
            _start_tls(client, context)
        if mail.username:
            _log_in(client, mail)
    except BaseException:
        client.close()
        raise
    return client


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what its reply must be."""

    stage: Stage
    command: str
    # The first digit of the reply code.
    expected: int = 2
    # Words that an error leaves out.
    hide: tuple[str, ...] = ()
    # Names that an error leaves out, too.
    names: Callable[[], Collection[str]] = tuple
    # The command asks for more than every message needs.
    is_unlike_others: bool = False
    # What an error says behind the server's words.
    advice: str = ""

    @property
    def line(self) -> bytes:
        return self.command.encode() + b"\r\n"


# Ends a transaction that failed, and shows whether the server still listens.
RESET = Step("sender", "RSET")


def send(client: smtplib.SMTP, stage: Stage, data: bytes) -> None:
    """Raises MailError."""
    with mail_errors(stage):
        client.send(data)


def read_reply(client: smtplib.SMTP, step: Step) -> None:
    """Raises MailError unless the reply is what `step` expects."""
    with mail_errors(step.stage):
        code, reply = client.getreply()
    if code // 100 == step.expected:
        return
    if step is RESET:
        raise MailDeferred("the server did not reset", stage=step.stage)
    raise error_from_reply(
        step.stage,
        code,
        reply,
        step.hide,
        names=step.names(),
        is_unlike_others=step.is_unlike_others,
        advice=step.advice,
    )


def read_final_reply(client: smtplib.SMTP) -> tuple[int, bytes]:
    """The code and text of the reply to a whole message. Raises MailError where none comes."""
    with mail_errors("content"):
        _set_timeout(client, FINAL_REPLY_TIMEOUTS * client.timeout)
        reply = client.getreply()
        _set_timeout(client, client.timeout)
    return reply


def say_goodbye(client: smtplib.SMTP) -> None:
    # The server keeps what it took, whatever it replies to QUIT.
    with suppress(OSError):
        _set_timeout(client, min(client.timeout, QUIT_TIMEOUT_S))
        client.quit()
    client.close()


def _set_up(client: smtplib.SMTP) -> None:
    assert client.sock is not None
    # Send a message's last line at once, not when the rest has been acknowledged.
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if "." not in client.local_hostname:
        # Servers want a full host name or an address literal (RFC 5321, 4.1.3).
        own = client.sock.getsockname()[0]
        client.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"


def _say_hello(client: smtplib.SMTP) -> None:
    with mail_errors("hello"):
        code, reply = client.ehlo()
    if code // 100 != 2:
        raise error_from_reply("hello", code, reply)


def _start_tls(client: smtplib.SMTP, context: ssl.SSLContext | None) -> None:
    if not client.has_extn("starttls"):
        raise MailDeferred("the server does not offer STARTTLS", stage="tls")
    with mail_errors("tls"):
        client.starttls(context=context)
    _say_hello(client)


def _log_in(client: smtplib.SMTP, mail: Any) -> None:
    if not (mail.use_tls or mail.use_ssl or _is_loopback(mail.server)):
        raise MailBlocked(
            "the password would travel unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL",
            stage="login",
        )
    name, password = mail.username, mail.password or ""
    local, _, domain = name.rpartition("@")
    with mail_errors("login", hide=(name, local, domain, password)):
        try:
            client.login(name, password)
        except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
            raise
        except smtplib.SMTPException:
            raise MailBlocked("the server offers no login we know", stage="login") from None
        except ValueError:
            raise MailBlocked("name and password must be plain ASCII", stage="login") from None


def _tls_context(server: str) -> ssl.SSLContext:
    # smtplib's own default verifies nothing.
    context = ssl.create_default_context()
    if _is_loopback(server):
        # A mail server of this machine seldom has a certificate for its name.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(server: str) -> bool:
    try:
        return server == "localhost" or ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False


def _set_timeout(client: smtplib.SMTP, seconds: float) -> None:
    if client.sock is not None:
        client.sock.settimeout(seconds)

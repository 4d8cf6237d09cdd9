"""An smtplib client that a mail server has let in: connected, encrypted, logged in."""

import io
import ipaddress
import smtplib
import socket
import ssl
import time
from contextlib import suppress
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
            if self.sock is not None:
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
        send_command(client, "hello")
        if mail.use_tls:
            _start_tls(client, context)
        if mail.username:
            _log_in(client, mail)
    except BaseException:
        client.close()
        raise
    return client


def send_command(
    client: smtplib.SMTP,
    stage: Stage,
    command: str | None = None,
    *,
    expected: int = 2,
    hide: tuple[str, ...] = (),
    is_unlike_others: bool = False,
) -> None:
    """Send one command (EHLO if None). Raises MailError unless the reply code is `expected`xx."""
    with mail_errors(stage):
        code, reply = client.docmd(command) if command else client.ehlo()
    if code // 100 != expected:
        raise error_from_reply(stage, code, reply, hide, is_unlike_others=is_unlike_others)


def final_reply(client: smtplib.SMTP) -> tuple[int, bytes]:
    """The code and text of the reply to a whole message. Raises SMTPServerDisconnected."""
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


def _start_tls(client: smtplib.SMTP, context: ssl.SSLContext | None) -> None:
    if not client.has_extn("starttls"):
        raise MailDeferred("the server does not offer STARTTLS", stage="tls")
    with mail_errors("tls"):
        client.starttls(context=context)
    send_command(client, "hello")


def _log_in(client: smtplib.SMTP, mail: Any) -> None:
    if not (mail.use_tls or mail.use_ssl or _is_loopback(mail.server)):
        raise MailBlocked(
            "the password would travel unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL",
            stage="login",
        )
    name, password = mail.username, mail.password or ""
    with mail_errors("login", hide=(name, password)):
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

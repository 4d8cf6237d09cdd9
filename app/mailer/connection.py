"""One thread's way to the mail server: Flask-Mail's connection, kept and with its traps closed."""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Any, Self

import flask_mail

from app.mailer.client import (
    Client,
    TLSClient,
    hello_name,
    is_loopback,
    send_at_once,
    tls_context,
)
from app.mailer.outcomes import (
    MailBlocked,
    MailDeferred,
    MailError,
    MailWithheld,
    Stage,
    outcome_of,
    typed,
)
from app.mailer.wire import (
    envelope_address,
    is_international,
    lacks_utf8,
    sender_address,
    wire_of,
)

GOODBYE_SECONDS = 1.0


class Connection(flask_mail.Connection):
    """One thread's way to the mail server: opened by the first message, kept for those after it.

    A connection that broke, was ended by the server or idled is opened anew for the next message.
    """

    host: Client | None
    idle_seconds = 30.0

    def __init__(self, mail: Any, timeout: float) -> None:
        super().__init__(mail)
        self.timeout = timeout
        self._used_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the server has let us in, as far as is known."""
        return self.host is not None

    def send(self, *_: object, **__: object) -> None:
        """Closed: Flask-Mail's own messages let header injection through. Raises TypeError."""
        raise TypeError("only an email.message.EmailMessage is sent: use deliver()")

    def deliver(
        self, message: EmailMessage, recipient: str, may_finish: Callable[[], bool] = lambda: True
    ) -> None:
        """Hand `message` over for one bare address; returns once the server has taken it.

        `may_finish` is asked when all but the end is sent: where it says no, the server is left
        without the end, and takes nothing. Raises MailDeferred, MailRefused, MailBlocked or
        MailWithheld; the connection can be used again after each of them. Waits at most the
        timeout for each reply, three times that for the last.
        """
        sender = sender_address(self.mail.default_sender)
        address = envelope_address(recipient)
        needs_utf8 = is_international(message, sender, address)
        wire = wire_of(message, needs_utf8)
        while True:
            client, is_kept = self._ready()
            if needs_utf8 and not client.has_extn("smtputf8"):
                raise lacks_utf8(sender)
            try:
                with self._left_in_order():
                    self._offer_sender(client, sender, wire, needs_utf8)
                    self._hand_over(client, address, wire, may_finish)
                return
            except MailDeferred as error:
                # Servers end a kept connection after so many messages: not this one's fault.
                if not (is_kept and self.host is None and error.stage == "sender"):
                    raise

    def rehearse(self) -> None:
        """All of a delivery up to the sender's address; nothing is sent. Raises MailError."""
        sender = sender_address(self.mail.default_sender)
        client, _ = self._ready()
        needs_utf8 = not sender.isascii()
        if needs_utf8 and not client.has_extn("smtputf8"):
            raise lacks_utf8(sender)
        with self._left_in_order():
            self._offer_sender(client, sender, b"", needs_utf8)
            self._ask(client, "sender", "RSET")

    def close(self) -> None:
        """Say goodbye, if anyone still listens: what was taken stays taken."""
        if self.host is not None:
            self.host.patience = min(self.timeout, GOODBYE_SECONDS)
            with suppress(OSError):
                self.host.quit()
            self._drop()

    def configure_host(self) -> Client:
        """A new connection: encrypted if so set, and logged in. Raises MailError."""
        mail = self.mail
        context = tls_context(mail.server) if mail.use_tls or mail.use_ssl else None
        where = {"host": mail.server, "port": mail.port, "timeout": self.timeout}
        # Given here, or smtplib asks DNS for our name without any timeout.
        name = socket.gethostname()
        with typed("connect"):
            if mail.use_ssl:
                client: Client = TLSClient(**where, local_hostname=name, context=context)
            else:
                client = Client(**where, local_hostname=name)
        try:
            send_at_once(client)
            client.local_hostname = hello_name(client, name)
            self._ask(client, "hello")
            if mail.use_tls:
                self._start_tls(client, context)
            if mail.username:
                self._log_in(client)
        except BaseException:
            client.close()
            raise
        return client

    def _start_tls(self, client: Client, context: ssl.SSLContext | None) -> None:
        if not client.has_extn("starttls"):
            raise MailDeferred("the server does not offer STARTTLS", stage="tls")
        with typed("tls"):
            client.starttls(context=context)
        self._ask(client, "hello")

    def _log_in(self, client: Client) -> None:
        if not (self.mail.use_tls or self.mail.use_ssl or is_loopback(self.mail.server)):
            raise MailBlocked(
                "the password would travel unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL",
                stage="login",
            )
        name, password = self.mail.username, self.mail.password or ""
        with typed("login", hide=(name, password)):
            try:
                client.login(name, password)
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
                raise
            except smtplib.SMTPException:
                raise MailBlocked("the server offers no login we know", stage="login") from None
            except ValueError:
                raise MailBlocked("name and password must be plain ASCII", stage="login") from None

    def _ready(self) -> tuple[Client, bool]:
        """A client between two messages, and whether it was kept from the one before."""
        if self.host is not None and self._is_usable(self.host):
            return self.host, True
        self.close()
        client = self.host = self.configure_host()
        self._used_at = time.monotonic()
        return client, False

    def _is_usable(self, client: Client) -> bool:
        if time.monotonic() - self._used_at > self.idle_seconds:
            return False
        with suppress(OSError), self._left_in_order():
            return client.rset()[0] == 250
        return False

    @contextmanager
    def _left_in_order(self) -> Iterator[None]:
        """Keep the connection only where the server's last reply was read and ended nothing."""
        try:
            yield
        except MailError as error:
            if error.code is None or error.code == 421 or error.code // 100 not in (4, 5):
                self._drop()
            raise
        except BaseException:
            self._drop()
            raise
        finally:
            self._used_at = time.monotonic()

    def _drop(self) -> None:
        client, self.host = self.host, None
        if client is not None:
            client.close()

    def _offer_sender(self, client: Client, sender: str, wire: bytes, utf8: bool) -> None:
        command = f"MAIL FROM:<{sender}>"
        if wire and client.has_extn("size"):
            command += f" SIZE={len(wire)}"
        if client.has_extn("8bitmime") and not wire.isascii():
            command += " BODY=8BITMIME"
        if utf8:
            client.command_encoding = "utf-8"
            command += " SMTPUTF8"
        # Only for a recipient's sake is it more than every message needs.
        self._ask(client, "sender", command, is_unlike_others=utf8 and sender.isascii())

    def _hand_over(
        self, client: Client, address: str, wire: bytes, may_finish: Callable[[], bool]
    ) -> None:
        hide = (address, address.rpartition("@")[0])
        self._ask(client, "recipient", f"RCPT TO:<{address}>", hide=hide)
        self._ask(client, "data", "DATA", expected=3, hide=hide)
        with typed("content"):
            client.send(re.sub(rb"(?m)^\.", b"..", wire))
        if not may_finish():
            raise MailWithheld("its end was withheld", stage="content")
        try:
            with typed("content"):
                client.send(b".\r\n")
                code, reply = client.final_reply()
        except MailDeferred as error:
            raise MailDeferred(error.reason, stage="content", reply_lost=True) from None
        if code // 100 != 2:
            raise outcome_of("content", code, reply, hide)

    def _ask(
        self,
        client: Client,
        stage: Stage,
        command: str | None = None,
        *,
        expected: int = 2,
        hide: tuple[str, ...] = (),
        is_unlike_others: bool = False,
    ) -> None:
        """Send one command (EHLO if none) and expect a reply of that hundred."""
        with typed(stage):
            code, reply = client.docmd(command) if command else client.ehlo()
        if code // 100 != expected:
            raise outcome_of(stage, code, reply, hide, is_unlike_others=is_unlike_others)

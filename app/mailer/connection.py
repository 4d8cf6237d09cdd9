"""One thread's connection to the mail server: opened by its first message, kept for the next."""

import re
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Any, Self

import flask_mail

from app.mailer.client import final_reply, open_client, say_goodbye, send_command
from app.mailer.outcomes import (
    MailDeferred,
    MailError,
    MailWithheld,
    error_from_reply,
    mail_errors,
)
from app.mailer.wire import envelope_address, is_international, lacks_utf8, sender_address, wire_of


class Connection(flask_mail.Connection):
    """Flask-Mail's connection with its traps closed; used by one thread."""

    # Flask-Mail sets no timeout, does not verify TLS, ignores refused recipients, and raises
    # after the server's 250 where QUIT fails.

    host: smtplib.SMTP | None

    def __init__(self, mail: Any, timeout: float) -> None:
        super().__init__(mail)
        self.timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self.host is not None

    def send(self, *_: object, **__: object) -> None:
        # Flask-Mail's own messages let header injection through.
        raise TypeError("only an email.message.EmailMessage is sent: use deliver()")

    def deliver(
        self, message: EmailMessage, recipient: str, may_finish: Callable[[], bool] = lambda: True
    ) -> None:
        """Hand `message` over for one bare address; returns once the server has taken it.

        `may_finish` is called when all but the last line is sent; if it returns False the server
        takes nothing. Raises MailDeferred, MailRefused, MailBlocked or MailWithheld, and can be
        used again after each.
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
                with self._dropped_on_failure():
                    self._offer_sender(client, sender, wire, needs_utf8)
                    self._hand_over(client, address, wire, may_finish)
                return
            except MailDeferred as error:
                # Servers end a connection after so many messages, which is not this one's fault.
                if not (is_kept and self.host is None and error.stage == "sender"):
                    raise

    def check_sender(self) -> None:
        """Do all of a delivery up to the sender's address; sends nothing. Raises MailError."""
        sender = sender_address(self.mail.default_sender)
        client, _ = self._ready()
        needs_utf8 = not sender.isascii()
        if needs_utf8 and not client.has_extn("smtputf8"):
            raise lacks_utf8(sender)
        with self._dropped_on_failure():
            self._offer_sender(client, sender, b"", needs_utf8)
            send_command(client, "sender", "RSET")

    def close(self) -> None:
        if self.host is not None:
            say_goodbye(self.host)
            self.host = None

    def configure_host(self) -> smtplib.SMTP:
        return open_client(self.mail, self.timeout)

    def _ready(self) -> tuple[smtplib.SMTP, bool]:
        """A client between two messages, and whether it was kept from an earlier message."""
        if self.host is not None:
            with suppress(OSError), self._dropped_on_failure():
                if self.host.rset()[0] == 250:
                    return self.host, True
            self.close()
        client = self.host = self.configure_host()
        return client, False

    @contextmanager
    def _dropped_on_failure(self) -> Iterator[None]:
        try:
            yield
        except MailError as error:
            # After another 4xx or 5xx reply the server waits for our next command.
            if error.code is None or error.code == 421 or error.code // 100 not in (4, 5):
                self._drop()
            raise
        except BaseException:
            # We were interrupted, or `may_finish` failed, within a message.
            self._drop()
            raise

    def _drop(self) -> None:
        if self.host is not None:
            self.host.close()
            self.host = None

    def _offer_sender(self, client: smtplib.SMTP, sender: str, wire: bytes, utf8: bool) -> None:
        command = f"MAIL FROM:<{sender}>"
        if wire and client.has_extn("size"):
            command += f" SIZE={len(wire)}"
        if client.has_extn("8bitmime") and not wire.isascii():
            command += " BODY=8BITMIME"
        if utf8:
            client.command_encoding = "utf-8"
            command += " SMTPUTF8"
        # With an ASCII sender it is this recipient alone who needs SMTPUTF8.
        send_command(client, "sender", command, is_unlike_others=utf8 and sender.isascii())

    def _hand_over(
        self, client: smtplib.SMTP, address: str, wire: bytes, may_finish: Callable[[], bool]
    ) -> None:
        hide = (address, address.rpartition("@")[0])
        send_command(client, "recipient", f"RCPT TO:<{address}>", hide=hide)
        send_command(client, "data", "DATA", expected=3, hide=hide)
        with mail_errors("content"):
            client.send(re.sub(rb"(?m)^\.", b"..", wire))
        if not may_finish():
            raise MailWithheld("its end was withheld", stage="content")
        with mail_errors("content"):
            client.send(b".\r\n")
            code, reply = final_reply(client)
        if code // 100 != 2:
            raise error_from_reply("content", code, reply, hide)

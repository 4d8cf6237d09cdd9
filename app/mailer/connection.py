"""One thread's connection to the mail server: opened by its first message, kept for the next."""

import smtplib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import flask_mail

from app.mailer.client import (
    RESET,
    Step,
    open_client,
    read_final_reply,
    read_reply,
    say_goodbye,
    send,
)
from app.mailer.outcomes import MailDeferred, MailError, MailWithheld, error_from_reply
from app.mailer.wire import Envelope, Outgoing, envelope_of, lacks_utf8, sender_address, stuffed

M = TypeVar("M", bound=Outgoing)

# Some mail servers let an account send from its own addresses alone.
_OF_MAIL_DOOR = (
    " (the sender was a bounce address of INBOUND_DOMAIN: let the mail server take that domain's)"
)


class Connection(flask_mail.Connection):
    """Flask-Mail's connection with its traps closed; used by one thread."""

    # Flask-Mail sets no timeout, does not verify TLS, ignores refused recipients, and raises
    # after the server's 250 where QUIT fails.

    host: smtplib.SMTP | None

    def __init__(self, mail: Any, timeout: float) -> None:
        super().__init__(mail)
        self.timeout = timeout
        # The message whose commands went out with the end of the one before; the replies to them
        # are unread.
        self._ahead: tuple[Outgoing, list[Step]] | None = None
        # Whether the server waits for the rest of a transaction, which RSET ends.
        self._is_unfinished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self.host is not None

    def send(self, *_: object, **__: object) -> None:
        # Flask-Mail's own messages let header injection through.
        raise TypeError("only bytes of our own are sent: use deliver()")

    def deliver(self, messages: Iterable[M]) -> Iterator[tuple[M, MailError | None]]:
        """Hand messages over in turn; yields each with None once the server has taken it.

        An error is of one message, and the others go on. Where the server pipelines (RFC 2920),
        the next message is taken from `messages` before the end of this one, and its commands go
        out with that end: one round trip for a message.
        """
        coming = iter(messages)
        message = next(coming, None)
        while message is not None:
            following: M | None = None
            error: MailError | None = None
            try:
                self._begin(message)
                with self._dropped_on_failure():
                    if self._pipelines:
                        following = next(coming, None)
                    self._finish(message, following)
            except MailError as failure:
                error = failure
            yield message, error
            message = following or next(coming, None)

    def check_senders(self, bounces_to: str | None) -> None:
        """Do all of a delivery up to the sender's address; sends nothing. Raises MailError.

        `bounces_to`: an envelope sender that emails have instead of MAIL_DEFAULT_SENDER.
        """
        self._check_sender(sender_address(self.mail.default_sender))
        if bounces_to is not None:
            self._check_sender(bounces_to, advice=_OF_MAIL_DOOR)

    def _check_sender(self, sender: str, advice: str = "") -> None:
        needs_utf8 = not sender.isascii()
        client = self._client(sender, needs_utf8=needs_utf8)
        command = f"MAIL FROM:<{sender}>{' SMTPUTF8' if needs_utf8 else ''}"
        with self._dropped_on_failure():
            for step in (Step("sender", command, advice=advice), RESET):
                send(client, step.stage, step.line)
                read_reply(client, step)

    def close(self) -> None:
        if self._ahead is not None:
            # The server would read our goodbye as the message.
            self._drop()
        if self.host is not None:
            say_goodbye(self.host)
            self.host = None

    def configure_host(self) -> smtplib.SMTP:
        return open_client(self.mail, self.timeout)

    @property
    def _pipelines(self) -> bool:
        return self.host is not None and self.host.has_extn("pipelining")

    def _begin(self, message: Outgoing) -> None:
        """Do all of a delivery up to the content."""
        while True:
            is_kept = self.host is not None
            try:
                client, steps = self._take_ahead(message) or self._send_steps(message)
                with self._dropped_on_failure():
                    self._read_replies(client, steps)
                return
            except MailDeferred as error:
                # Servers end a connection after so many messages, which is not this one's fault.
                if not (is_kept and self.host is None and error.stage == "sender"):
                    raise

    def _take_ahead(self, message: Outgoing) -> tuple[smtplib.SMTP, list[Step]] | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None or self.host is None:
            return None
        assert ahead[0] is message
        return self.host, ahead[1]

    def _send_steps(self, message: Outgoing) -> tuple[smtplib.SMTP, list[Step]]:
        sender = sender_address(self.mail.default_sender)
        envelope = envelope_of(message, sender)
        client = self._client(sender, needs_utf8=envelope.needs_utf8)
        steps = self._steps(client, message, envelope)
        if self._pipelines:
            with self._dropped_on_failure():
                send(client, "sender", b"".join(step.line for step in steps))
        return client, steps

    def _client(self, sender: str, *, needs_utf8: bool) -> smtplib.SMTP:
        if self.host is None:
            self.host = self.configure_host()
            self._is_unfinished = False
        if needs_utf8 and not self.host.has_extn("smtputf8"):
            raise lacks_utf8(sender)
        return self.host

    def _read_replies(self, client: smtplib.SMTP, steps: list[Step]) -> None:
        """Read the replies to `steps`, which are sent one by one without pipelining."""
        self._is_unfinished, failure = True, None
        for step in steps:
            if not self._pipelines:
                send(client, step.stage, step.line)
            try:
                read_reply(client, step)
            except MailError as error:
                failure = failure or error
                # The replies to what was sent in one group follow all the same.
                if not self._pipelines or _is_over(error):
                    raise failure from None
            else:
                if failure and step.stage == "data":
                    # It waits for a message without recipients.
                    self._drop()
        if failure:
            raise failure

    def _finish(self, message: Outgoing, following: Outgoing | None) -> None:
        client = self.host
        assert client is not None
        send(client, "content", stuffed(message.content))
        if not message.may_finish():
            raise MailWithheld("its end was withheld", stage="content")
        self._is_unfinished = False
        send(client, "content", b".\r\n" + self._commands_ahead(client, following))
        code, reply = read_final_reply(client)
        if code // 100 != 2:
            hide = _private(message.recipient)
            raise error_from_reply("content", code, reply, hide, names=message.names())

    def _commands_ahead(self, client: smtplib.SMTP, following: Outgoing | None) -> bytes:
        if following is None:
            return b""
        try:
            envelope = envelope_of(following, sender_address(self.mail.default_sender))
        except MailError:
            # It fails in its own turn.
            return b""
        if envelope.needs_utf8 and not client.has_extn("smtputf8"):
            return b""
        steps = self._steps(client, following, envelope)
        self._ahead = following, steps
        return b"".join(step.line for step in steps)

    def _steps(self, client: smtplib.SMTP, message: Outgoing, envelope: Envelope) -> list[Step]:
        option = ""
        if client.has_extn("size"):
            option += f" SIZE={len(message.content)}"
        if client.has_extn("8bitmime") and not message.content.isascii():
            option += " BODY=8BITMIME"
        if envelope.needs_utf8:
            option += " SMTPUTF8"
        # With an ASCII sender it is this recipient alone who needs SMTPUTF8.
        is_unlike_others = envelope.needs_utf8 and envelope.sender.isascii()
        hide = _private(envelope.recipient)
        mail = f"MAIL FROM:<{envelope.sender}>{option}"
        advice = _OF_MAIL_DOOR if message.envelope_sender else ""
        recipient, names = f"RCPT TO:<{envelope.recipient}>", message.names
        steps = [
            Step("sender", mail, names=names, is_unlike_others=is_unlike_others, advice=advice),
            Step("recipient", recipient, hide=hide, names=names),
            Step("data", "DATA", expected=3, hide=hide, names=names),
        ]
        return [RESET, *steps] if self._is_unfinished else steps

    @contextmanager
    def _dropped_on_failure(self) -> Iterator[None]:
        try:
            yield
        except MailError as error:
            if _is_over(error):
                self._drop()
            raise
        except BaseException:
            # We were interrupted, or `may_finish` failed, within a message.
            self._drop()
            raise

    def _drop(self) -> None:
        self._ahead = None
        if self.host is not None:
            self.host.close()
            self.host = None


def _is_over(error: MailError) -> bool:
    # After another 4xx or 5xx reply the server waits for our next command.
    return error.code is None or error.code == 421 or error.code // 100 not in (4, 5)


def _private(address: str) -> tuple[str, str]:
    return address, address.rpartition("@")[0]

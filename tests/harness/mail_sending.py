"""What the tests of the mailer share: a mailer, a message, and how its delivery failed."""

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Any

import pytest
from flask import Flask

from app.mailer import Connection, Mailer, MailError, Outgoing
from tests.harness.smtp_server import (
    LOOPBACK,
    PATIENCE_S,
    Accepted,
    Action,
    Fault,
    FaultyServer,
    MailServer,
    Stage,
)

DEE = "dee@example.org"
ELI = "eli@example.org"
SENDER = "bookings@mindsum.test"
LOGIN = {"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "s3cret-pass"}
SHORT_S = 0.2


def mailer_for(server: MailServer | FaultyServer | int, **settings: Any) -> Mailer:
    """A mailer for a server, or for a port of loopback."""
    app = Flask(__name__)
    # Flask-Mail's own test and debug modes would print much and send nothing.
    app.testing = app.debug = True
    app.config.update(
        MAIL_SERVER=LOOPBACK,
        MAIL_PORT=server if isinstance(server, int) else server.port,
        MAIL_DEFAULT_SENDER=f"Mindsum <{SENDER}>",
        MAIL_TIMEOUT=PATIENCE_S,
    )
    app.config.update(settings)
    return Mailer(app)


def message_to(to: str = DEE, body: str = "See you on Tuesday.\n") -> EmailMessage:
    message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    message["From"] = f"Mindsum <{SENDER}>"
    message["To"] = to
    message["Subject"] = "Session request, Tue 3 Nov 14:00"
    message["Message-ID"] = "<one@mindsum.test>"
    message.set_content(body, cte="quoted-printable" if body.isascii() else "8bit")
    return message


def outgoing(
    message: EmailMessage, to: str, may_finish: Callable[[], bool] = lambda: True
) -> Outgoing:
    is_utf8 = not str(message["To"]).isascii()
    policy: Any = SMTPUTF8 if is_utf8 else SMTP
    content = message.as_bytes(policy=policy)
    whole = content if content.endswith(b"\r\n") else content + b"\r\n"
    return Outgoing(to, whole, is_utf8, may_finish)


def deliver(
    connection: Connection,
    message: EmailMessage,
    to: str = DEE,
    may_finish: Callable[[], bool] = lambda: True,
) -> None:
    """Hand one message over. Raises MailError."""
    [(_, error)] = connection.deliver([outgoing(message, to, may_finish)])
    if error:
        raise error


def timeout_for(action: Action, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> float:
    """MAIL_TIMEOUT for a server that does `action` at `stage`, in seconds.

    Only the wait for a reply that never ends is short: a busy machine delays the other replies.
    """
    if action not in (Fault.SILENCE, Fault.DRIP):
        return PATIENCE_S
    if stage == "greeting":
        return SHORT_S
    send = smtplib.SMTP.send

    def send_and_hurry(client: smtplib.SMTP, data: bytes | str) -> None:
        client.timeout = SHORT_S if stage in _stages_of(data) else PATIENCE_S
        send(client, data)
        assert client.sock is not None
        client.sock.settimeout(client.timeout)

    monkeypatch.setattr(smtplib.SMTP, "send", send_and_hurry)
    return PATIENCE_S


def _stages_of(data: bytes | str) -> set[Stage]:
    lines = (data.encode() if isinstance(data, str) else data).splitlines()
    return {"dot" if line == b"." else line[:4].decode("latin-1").lower() for line in lines}


def body_of(accepted: Accepted) -> str:
    content: str = accepted.parsed.get_content()
    return content.replace("\r\n", "\n")


def delivery_error(mailer: Mailer, to: str = DEE) -> MailError:
    with mailer.connect() as connection, pytest.raises(MailError) as raised:
        deliver(connection, message_to(to), to)
    return raised.value

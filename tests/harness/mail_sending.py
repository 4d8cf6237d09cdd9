"""What the tests of the mailer share: a mailer, a letter, how its delivery ended."""

from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Any

import pytest
from flask import Flask

from app.mailer import Mailer, MailError
from app.mailer.client import Client
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
    app = Flask(__name__)
    # As in tests of the whole application: Flask-Mail would now print much and send nothing.
    app.testing = app.debug = True
    app.config.update(
        MAIL_SERVER=LOOPBACK,
        MAIL_PORT=server if isinstance(server, int) else server.port,
        MAIL_DEFAULT_SENDER=f"Mindsum <{SENDER}>",
        MAIL_TIMEOUT=PATIENCE_S,
    )
    app.config.update(settings)
    return Mailer(app)


def letter(to: str = DEE, body: str = "See you on Tuesday.\n") -> EmailMessage:
    message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    message["From"] = f"Mindsum <{SENDER}>"
    message["To"] = to
    message["Subject"] = "Session request, Tue 3 Nov 14:00"
    message["Message-ID"] = "<one@mindsum.test>"
    message.set_content(body, cte="quoted-printable" if body.isascii() else "8bit")
    return message


def patience_for(action: Action, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> float:
    """The timeout, in seconds, for a server that does so at that stage.

    Short is only the wait for the reply that never comes: on a busy machine the others take time.
    """
    if action not in (Fault.SILENCE, Fault.DRIP):
        return PATIENCE_S
    if stage == "greeting":
        return SHORT_S
    send = Client.send

    def hurried(client: Client, data: bytes | str) -> None:
        client.timeout = SHORT_S if _stage_of(data) == stage else PATIENCE_S
        send(client, data)

    monkeypatch.setattr(Client, "send", hurried)
    return PATIENCE_S


def _stage_of(data: bytes | str) -> Stage:
    said = data.encode() if isinstance(data, str) else data
    return "dot" if said == b".\r\n" else said.split()[0].decode("latin-1").lower()


def text(taken: Accepted) -> str:
    content: str = taken.parsed.get_content()
    return content.replace("\r\n", "\n")


def outcome_of(mailer: Mailer, to: str = DEE) -> MailError:
    with mailer.connect() as connection, pytest.raises(MailError) as raised:
        connection.deliver(letter(to), to)
    return raised.value

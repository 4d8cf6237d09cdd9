"""The only door to SMTP: Flask-Mail with its traps closed, kept connections and typed outcomes."""

from collections.abc import Mapping

import flask_mail
from flask import current_app

from app.mailer.connection import Connection
from app.mailer.outcomes import (
    NOT_ALLOWED_IN,
    MailBlocked,
    MailDeferred,
    MailError,
    MailRefused,
    MailWithheld,
    Stage,
)

__all__ = [
    "Connection", "MailBlocked", "MailDeferred", "MailError", "MailRefused", "MailWithheld",
    "Mailer",
]  # fmt: skip

DEFAULT_TIMEOUT_SECONDS = 10.0

_SETTINGS_BEHIND: Mapping[Stage, str] = {
    "settings": "MAIL_DEFAULT_SENDER",
    "connect": "MAIL_SERVER and MAIL_PORT",
    "greeting": "MAIL_PORT, MAIL_USE_SSL and MAIL_USE_TLS",
    "tls": "MAIL_USE_TLS, MAIL_USE_SSL and MAIL_SERVER, which the certificate must name",
    "hello": "MAIL_SERVER and MAIL_PORT",
    "login": "MAIL_USERNAME and MAIL_PASSWORD",
    "sender": "MAIL_DEFAULT_SENDER",
}


class Mailer(flask_mail.Mail):
    """Flask-Mail's extension, safe to share between threads: each has its own `connect()`.

    It takes the MAIL_* keys of the application's config, and MAIL_TIMEOUT in seconds. Flask-Mail's
    test mode (mail lost without a word) and debug mode (passwords printed) have no effect here.
    """

    def connect(self) -> Connection:
        """A connection for one thread and one batch; closed by leaving its `with` block."""
        app = self.app or current_app
        timeout = float(app.config.get("MAIL_TIMEOUT", DEFAULT_TIMEOUT_SECONDS))
        return Connection(app.extensions["mail"], timeout)

    def check(self) -> str | None:
        """Try all but sending: None, or one line that says what is wrong and where it is set."""
        with self.connect() as connection:
            try:
                connection.rehearse()
            except MailError as error:
                is_login = isinstance(error, MailBlocked) and error.code in NOT_ALLOWED_IN
                settings = _SETTINGS_BEHIND["login" if is_login else error.stage]
                where = f"{connection.mail.server}:{connection.mail.port}"
                return f"mail server {where}: {error}; look at {settings}"
        return None

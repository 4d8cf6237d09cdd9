"""The only door to SMTP: Flask-Mail with its traps closed, kept connections and typed errors."""

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
    MailUnwelcome,
    MailWithheld,
    Stage,
    masked,
)
from app.mailer.signing import signer_of
from app.mailer.wire import Outgoing

__all__ = [
    "Connection", "MailBlocked", "MailDeferred", "MailError", "MailRefused", "MailUnwelcome",
    "MailWithheld", "Mailer", "Outgoing", "masked",
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
    """Flask-Mail's extension; threads share it, and each has a connection of its own."""

    def connect(self) -> Connection:
        # Flask-Mail's own drops mail silently in test mode, and prints passwords in debug mode.
        app = self.app or current_app
        timeout = float(app.config.get("MAIL_TIMEOUT", DEFAULT_TIMEOUT_SECONDS))
        return Connection(app.extensions["mail"], timeout)

    def sign(self, content: bytes) -> bytes:
        """A message with our signature, where DKIM_KEY is set; its lines end with CR LF."""
        app = self.app or current_app
        key, selector = app.config.get("DKIM_KEY"), app.config.get("DKIM_SELECTOR")
        if not key or not selector:
            return content
        return signer_of(app.extensions["mail"].default_sender, selector, key).sign(content)

    def check(self, bounces_to: str | None = None) -> str | None:
        """Connect, log in and offer our senders: None, or a line with the fault and its setting.

        `bounces_to`: an envelope sender as the mail door's.
        """
        with self.connect() as connection:
            try:
                connection.check_senders(bounces_to)
            except MailError as error:
                is_login = isinstance(error, MailBlocked) and error.code in NOT_ALLOWED_IN
                settings = _SETTINGS_BEHIND["login" if is_login else error.stage]
                where = f"{connection.mail.server}:{connection.mail.port}"
                return f"mail server {where}: {error}; look at {settings}"
        return None

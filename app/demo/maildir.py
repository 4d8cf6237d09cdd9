"""The demo's mail server: receives mail over SMTP into a Maildir, and reads it back."""

import json
import logging
import mailbox
import os
import re
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from functools import cached_property
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from app import clock
from app.smtp_server import SmtpServer

_ENVELOPE_FIELD = b"X-Envelope: "


@dataclass(frozen=True)
class StoredMessage:
    """One message; `received_at` is by the demo's clock, `raw` without the field that we add."""

    id: str
    received_at: datetime
    envelope_from: str
    envelope_to: tuple[str, ...]
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        return parse(self.raw)


class LocalMailServer(SmtpServer):
    """On this machine. Port 0 takes a free one. Raises OSError if it is taken."""

    def __init__(self, handler: object, host: str, port: int, *, takes_utf8: bool = True) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__(
            handler,
            socket.create_server((host, port), family=family),
            # Otherwise aiosmtpd asks DNS for this machine's name.
            server_hostname="localhost",
            enable_SMTPUTF8=takes_utf8,
        )


def open_maildir(directory: Path) -> mailbox.Maildir:
    for folder in ("tmp", "new", "cur"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    return mailbox.Maildir(directory, create=False)


def stored_form(sender: str, recipients: list[str], raw: bytes) -> bytes:
    """A message as the Maildir holds it: below a field with its envelope and when it arrived."""
    facts = {"at": clock.now().isoformat(), "from": sender, "to": recipients}
    return _ENVELOPE_FIELD + json.dumps(facts).encode("ascii") + b"\r\n" + raw


class _MaildirWriter:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._maildir = open_maildir(directory)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        try:
            self._store(envelope)
        except OSError as error:
            return f"452 4.3.1 The message could not be stored: {error.strerror}"
        return "250 2.0.0 Stored"

    def _store(self, envelope: Envelope) -> None:
        raw = envelope.original_content or b""
        self._maildir.add(stored_form(envelope.mail_from or "", envelope.rcpt_tos, raw))
        # mailbox syncs the file, but not the folder that holds its name.
        folder = os.open(self._directory / "new", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def serve_maildir(host: str, port: int, directory: Path) -> LocalMailServer:
    """Port 0 takes a free one. Raises OSError if the port or the directory cannot be used."""
    # Its INFO lines repeat every command with its addresses.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    server = LocalMailServer(_MaildirWriter(directory), host, port)
    server.start()
    return server


def parse(raw: bytes) -> EmailMessage:
    """The message in `raw`; its header may be UTF-8 (SMTPUTF8)."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    rest = (separator + body).decode("ascii", "surrogateescape")
    text = head.decode("utf-8", "surrogateescape") + rest
    return message_from_string(text, policy=SMTP_POLICY)


def stored_messages(directory: Path) -> list[StoredMessage]:
    # Another process may be creating the folders at this moment.
    with suppress(mailbox.NoSuchMailboxError, FileNotFoundError):
        maildir = mailbox.Maildir(directory, create=False)
        found = filter(None, (_read(maildir, key) for key in maildir.iterkeys()))
        return sorted(found, key=lambda stored: (stored.received_at, stored.id), reverse=True)
    return []


def find(directory: Path, message_id: str) -> StoredMessage | None:
    """The message with that `id`, which is not its Message-ID; None if there is none."""
    with suppress(mailbox.NoSuchMailboxError):
        return _read(mailbox.Maildir(directory, create=False), message_id)
    return None


def remove(
    directory: Path,
    *,
    to: Collection[str],
    references: Collection[str],
    names: Collection[str],
) -> int:
    """Delete what was sent to these addresses or is about these bookings or people; how many."""
    addresses = {each.lower() for each in to}
    removed = 0
    for stored in stored_messages(directory):
        message = stored.message
        is_theirs = bool(addresses & {each.lower() for each in stored.envelope_to})
        is_about = message["X-Mindsum-Booking"] in references
        if is_theirs or is_about or _names_any(message, names):
            mailbox.Maildir(directory, create=False).discard(stored.id)
            removed += 1
    return removed


def _names_any(message: EmailMessage, names: Collection[str]) -> bool:
    body = message.get_body(("plain",))
    text = f"{message['Subject']} {body.get_content() if body else ''}"
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in names)


def _read(maildir: mailbox.Maildir, key: str) -> StoredMessage | None:
    try:
        stored = maildir.get_bytes(key)
    except (KeyError, FileNotFoundError):
        return None
    first, _, raw = stored.partition(b"\r\n")
    facts = json.loads(first.removeprefix(_ENVELOPE_FIELD))
    return StoredMessage(
        id=key,
        received_at=datetime.fromisoformat(facts["at"]),
        envelope_from=facts["from"],
        envelope_to=tuple(facts["to"]),
        raw=raw,
    )

"""The emails that a server took, by kind and recipient; each message is parsed once."""

import re
import threading
from dataclasses import dataclass

from tests.harness.smtp_server import Accepted, MailServer

_HEADERS = re.compile(
    rb"^(Message-ID|To|X-Mindsum-Email|X-Mindsum-Booking):\s*(.+?)\r?$", re.I | re.M
)


@dataclass(frozen=True, slots=True)
class ReceivedEmail:
    """`reference` is the booking's, or empty."""

    message_id: str
    kind: str
    reference: str
    to: str
    mail: Accepted


class MailReader:
    """Reads all emails that a server takes, oldest first; safe from any thread."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._emails: list[ReceivedEmail] = []
        self._lock = threading.Lock()

    def emails(self, *kinds: str, to: str = "") -> list[ReceivedEmail]:
        """The emails of those kinds (of all kinds if none is named) to that address, if any."""
        with self._lock:
            for mail in self._server.messages[len(self._emails) :]:
                self._emails.append(_read(mail))
            emails = list(self._emails)
        return [
            each for each in emails if (not kinds or each.kind in kinds) and to in ("", each.to)
        ]


def _read(mail: Accepted) -> ReceivedEmail:
    head = mail.raw.partition(b"\r\n\r\n")[0]
    headers = {name.lower(): value.decode() for name, value in _HEADERS.findall(head)}
    return ReceivedEmail(
        headers[b"message-id"],
        headers[b"x-mindsum-email"],
        headers.get(b"x-mindsum-booking", ""),
        mail.rcpt_tos[0],
        mail,
    )

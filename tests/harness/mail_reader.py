"""What has come by email so far, found by whom it went to; each message is read once."""

import re
import threading
from dataclasses import dataclass

from tests.harness.smtp_server import Accepted, MailServer

_HEADERS = re.compile(
    rb"^(Message-ID|To|X-Mindsum-Email|X-Mindsum-Booking):\s*(.+?)\r?$", re.I | re.M
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message that the server took: its number, kind, booking ("" if none) and reader."""

    number: str
    kind: str
    about: str
    to: str
    mail: Accepted


def opened(mail: Accepted) -> Letter:
    head = mail.raw.partition(b"\r\n\r\n")[0]
    found = {name.lower(): value.decode() for name, value in _HEADERS.findall(head)}
    return Letter(
        found[b"message-id"],
        found[b"x-mindsum-email"],
        found.get(b"x-mindsum-booking", ""),
        mail.rcpt_tos[0],
        mail,
    )


class Postbox:
    """Everybody's letters, oldest first; safe from any thread."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._letters: list[Letter] = []
        self._lock = threading.Lock()

    def letters(self, *kinds: str, to: str = "") -> list[Letter]:
        """The letters of those kinds (of all, if none is named), to one address or to anybody."""
        with self._lock:
            for mail in self._server.messages[len(self._letters) :]:
                self._letters.append(opened(mail))
            found = list(self._letters)
        return [each for each in found if (not kinds or each.kind in kinds) and to in ("", each.to)]

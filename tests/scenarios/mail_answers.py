"""A therapist's mail server, which sends a Yes to an invitation until the mail door takes it."""

import smtplib
import time
from dataclasses import dataclass

from app.services.inbound import addresses
from app.store import queries
from app.store.db import database
from emails.calendar import event_uid
from tests.harness.smtp_server import LOOPBACK, PATIENCE_S
from tests.scenarios.invitation_answers import Answer, google

DOMAIN = "in.example"


@dataclass(frozen=True, slots=True)
class Yes:
    """Accepts one booking; `raw` is the whole message."""

    reference: str
    to: str
    raw: bytes

    def is_taken(self, port: int) -> bool:
        """Send it once; whether the door took it with 250."""
        try:
            with smtplib.SMTP(LOOPBACK, port, "mx.example", timeout=PATIENCE_S) as client:
                client.sendmail("asha@x.example", [self.to], self.raw)
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def send(self, port: int) -> int:
        """Send it until it is taken; how many tries it took."""
        give_up_at, tries = time.monotonic() + PATIENCE_S, 1
        while not self.is_taken(port):
            assert time.monotonic() < give_up_at, f"{self.reference} was not taken"
            time.sleep(0.05)
            tries += 1
        return tries


def yes_to(reference: str) -> Yes:
    with database.connection():
        booking = queries.booking_by_reference(reference)
        to = f"{addresses.of_person(booking.therapist)}@{DOMAIN}"
    answer = Answer(
        to=to,
        sender=booking.therapist.email,
        uid=event_uid(reference),
        message_id=f"<{reference}@google.com>",
    )
    return Yes(reference, to, google(answer))

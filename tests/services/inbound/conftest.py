"""Settings with a mail door, and a story whose people answer by mail."""

from dataclasses import dataclass
from email.utils import parseaddr

import pytest

from app.config import Settings
from app.services.inbound import addresses
from app.services.inbound.handle import process_inbound
from app.services.inbound.receive import Taken, receive
from app.store.models import Booking, InboundMessage, OutboxEmail, Role
from emails.calendar import event_uid
from tests.harness.smtp_server import MailServer
from tests.scenarios.invitation_answers import Answer, google
from tests.scenarios.mailbox import written
from tests.scenarios.story import DEE, Story, total

DOMAIN = "in.example"
ASHA = "asha@therapists.example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_domain": DOMAIN})


@dataclass
class Post:
    """What people send back in a story."""

    story: Story

    def organizer(self, booking: Booking, role: Role = Role.THERAPIST) -> str:
        sender = addresses.organizer_of(self.story.reload(booking), role).sender
        return parseaddr(sender)[1]

    def hear(self, raw: bytes, to: str, *, is_from_server: bool = False) -> str:
        """Store one message and handle it; its outcome."""
        now = self.story.now
        assert receive(to, raw, is_from_server=is_from_server, now=now) is Taken.STORED
        total(process_inbound(now))
        newest = InboundMessage.select().order_by(InboundMessage.id.desc()).first()
        return str(newest.outcome)

    def answer(
        self, booking: Booking, partstat: str, role: Role = Role.THERAPIST, **fields: object
    ) -> str:
        """A calendar answer as Google writes it."""
        to = self.organizer(booking, role)
        sender = ASHA if role is Role.THERAPIST else DEE[1]
        facts: dict[str, object] = {
            "to": to,
            "sender": sender,
            "uid": event_uid(booking.reference),
            "partstat": partstat,
            "sequence": self.story.reload(booking).sequence,
            "stamp": f"{self.story.now:%Y%m%dT%H%M%SZ}",
            "message_id": f"<{partstat}-{self.story.now.timestamp()}@google.com>",
        }
        return self.hear(google(Answer(**{**facts, **fields})), to)  # type: ignore[arg-type]

    def reply(self, kind: str, text: str, role: Role = Role.THERAPIST, **more: str) -> str:
        """A reply in words to the newest email of a kind, as it came."""
        emails = OutboxEmail.select().where(OutboxEmail.kind == kind, OutboxEmail.role == role)
        email = emails.order_by(OutboxEmail.id.desc()).first()
        sent = next(
            each
            for each in reversed(self.story.mail.messages)
            if each.parsed["X-Mindsum-Email"] == kind and each.rcpt_tos == (email.recipient.email,)
        )
        to = parseaddr(sent.parsed["Reply-To"])[1]
        fields = {
            "sender": email.recipient.email,
            "in_reply_to": str(sent.parsed["Message-ID"]),
            "message_id": f"<words-{self.story.now.timestamp()}@mail.example>",
            **more,
        }
        return self.hear(written(to, text, **fields), to)  # type: ignore[arg-type]


@pytest.fixture
def post(story: Story, mail: MailServer) -> Post:
    return Post(story)

"""From an outbox row to its email: the call of its emails/ function, with fresh signed links."""

from collections.abc import Callable
from datetime import datetime

from app.services.mail.letters import for_client, for_ops, for_therapist
from app.services.mail.letters.letter import Letter, open_letter
from app.store.models import OutboxEmail, Role
from emails.message import Message

_WRITERS: dict[Role, dict[str, Callable[[Letter], Message]]] = {
    Role.CLIENT: for_client.WRITERS,
    Role.THERAPIST: for_therapist.WRITERS,
    Role.OPS: for_ops.WRITERS,
}


def compose(email: OutboxEmail, now: datetime) -> Message:
    """Render the email as things stand at `now`. Raises UnsafeValue where no email may say it."""
    return _WRITERS[email.role][email.kind](open_letter(email, now))

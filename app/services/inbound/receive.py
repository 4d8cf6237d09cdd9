"""Taking a message at the door: it is stored before the answer 250, and once."""

from base64 import b32encode
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import structlog

from app.mail_reading import message as reading
from app.services.inbound import addresses
from app.services.inbound.addresses import Owner
from app.store.db.database import in_transaction, on_commit
from app.store.models import InboundMessage

# The addresses of one person, or of one email, take so many messages an hour.
MOST_AN_HOUR = 60
_HOUR = timedelta(hours=1)

_log = structlog.get_logger("mindsum")


class Taken(StrEnum):
    STORED = "stored"
    # The same message was stored before.
    REPEATED = "repeated"
    UNKNOWN = "unknown"
    # The limit; a mail server tries again later.
    TOO_MANY = "too_many"


@in_transaction
def receive(address: str, raw: bytes, *, is_from_server: bool, now: datetime) -> Taken:
    """Store a message for one recipient. `is_from_server`: its MAIL FROM was empty."""
    owner = addresses.owner_of(address)
    if owner is None:
        on_commit(lambda: _log.info("mail_refused", why="unknown address"))
        return Taken.UNKNOWN
    key, sender = _key(owner, raw), f"{owner.kind}+{owner.subject}"
    if InboundMessage.select().where(InboundMessage.key == key).exists():
        return Taken.REPEATED
    recent = (InboundMessage.sender_of == sender) & (InboundMessage.received_at > now - _HOUR)
    if InboundMessage.select().where(recent).count() >= MOST_AN_HOUR:
        on_commit(lambda: _log.warning("mail_limit_reached", address=sender))
        return Taken.TOO_MANY
    stored = _store(owner, key, sender, raw, is_from_server=is_from_server, now=now)
    if stored:
        on_commit(lambda: _log.info("mail_received", kind=str(owner.kind), bytes=len(raw)))
    return Taken.STORED if stored else Taken.REPEATED


def _store(
    owner: Owner, key: str, sender: str, raw: bytes, *, is_from_server: bool, now: datetime
) -> bool:
    """Whether it is new: another process may be storing it at this moment."""
    row = InboundMessage(key=key, content=raw[: reading.LONGEST].decode("latin-1"))
    fields = {
        "key": key,
        "kind": owner.kind,
        "therapist": owner.therapist,
        "client": owner.client,
        "email": owner.email,
        "sender_of": sender,
        "content": row.content,
        "is_from_server": is_from_server,
        "received_at": now,
        "due_at": now,
    }
    added = InboundMessage.insert(fields).on_conflict_ignore().as_rowcount().execute()
    return bool(added)


def _key(owner: Owner, raw: bytes) -> str:
    """The same for every copy of a message to one address."""
    # Without a Message-ID its content tells it.
    found = reading.message_id(raw)
    name = found or b32encode(sha256(raw).digest()).decode()
    return sha256(f"{owner.kind} {owner.subject} {name}".encode()).hexdigest()

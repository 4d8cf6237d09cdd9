"""Requests for an email: the rows that forms write and deliver_outbox answers."""

from datetime import datetime

from peewee import SQL, fn

from app.store import wakeups
from app.store.db.database import on_commit
from app.store.db.statements import Statement
from app.store.models import EmailRequest, EmailRequestKind
from app.store.queries.locking import locking


def add(
    kind: EmailRequestKind,
    address: str,
    address_hash: str,
    *,
    about: str,
    network: str,
    now: datetime,
) -> None:
    EmailRequest.create(
        kind=kind,
        address=address,
        address_hash=address_hash,
        about=about,
        network=network,
        created_at=now,
    )
    on_commit(wakeups.ring)


_ANY = Statement[tuple[int]](lambda: EmailRequest.select(SQL("1")).limit(1).tuples())


def is_empty() -> bool:
    return _ANY.first() is None


def take_oldest() -> EmailRequest | None:
    """Its row is gone once the transaction commits; rows that other workers have are skipped."""
    earlier = EmailRequest.alias()
    has_earlier = fn.EXISTS(
        earlier.select(earlier.id).where(
            earlier.kind == EmailRequest.kind,
            earlier.about == EmailRequest.about,
            earlier.id < EmailRequest.id,
        )
    )
    waiting = EmailRequest.select().where(~has_earlier).order_by(EmailRequest.id).limit(1)
    oldest: EmailRequest | None = locking(waiting, skip_locked=True).first()
    if oldest is not None:
        EmailRequest.delete().where(EmailRequest.id == oldest.id).execute()
    return oldest

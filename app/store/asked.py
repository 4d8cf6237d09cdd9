"""Emails that somebody asked for: the rows that forms write and deliver_outbox answers."""

from datetime import datetime

from peewee import SQL, fn

from app.store import wakeups
from app.store.db.database import on_commit
from app.store.db.statements import Statement
from app.store.models import AskedEmail, AskedKind
from app.store.queries.locking import locking


def add(
    kind: AskedKind, address: str, address_hash: str, *, about: str, network: str, now: datetime
) -> None:
    AskedEmail.create(
        kind=kind,
        address=address,
        address_hash=address_hash,
        about=about,
        network=network,
        created_at=now,
    )
    on_commit(wakeups.ring)


_ANY = Statement[tuple[int]](lambda: AskedEmail.select(SQL("1")).limit(1).tuples())


def is_empty() -> bool:
    return _ANY.first() is None


def take_oldest() -> AskedEmail | None:
    """Its row is gone once the transaction commits; rows that other workers have are skipped."""
    earlier = AskedEmail.alias()
    has_earlier = fn.EXISTS(
        earlier.select(earlier.id).where(
            earlier.kind == AskedEmail.kind,
            earlier.about == AskedEmail.about,
            earlier.id < AskedEmail.id,
        )
    )
    waiting = AskedEmail.select().where(~has_earlier).order_by(AskedEmail.id).limit(1)
    asked: AskedEmail | None = locking(waiting, skip_locked=True).first()
    if asked is not None:
        AskedEmail.delete().where(AskedEmail.id == asked.id).execute()
    return asked

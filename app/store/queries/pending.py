"""Pending requests: finding and locking one, those that hold time, what was sent to an address."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from peewee import Expression

from app.store.db.statements import Statement
from app.store.models import (
    OutboxEmail,
    OutboxStatus,
    PendingRequest,
    Therapist,
)
from app.store.models.outbox import CONFIRM_REQUEST
from app.store.queries.locking import locking


def pending_holding(start: Any, end: Any, now: Any) -> Expression:
    condition: Expression = (
        (PendingRequest.held_until > now)
        & (PendingRequest.starts_at < end)
        & (PendingRequest.ends_at > start)
    )
    return condition


def pending_by_key(key: str) -> PendingRequest | None:
    """With its therapist."""
    pending: PendingRequest | None = (
        PendingRequest.select(PendingRequest, Therapist)
        .join(Therapist)
        .where(PendingRequest.key == key)
        .first()
    )
    return pending


def locked_pending(key: str) -> PendingRequest | None:
    """Its therapist is locked before."""
    pending: PendingRequest | None = locking(
        PendingRequest.select().where(PendingRequest.key == key)
    ).first()
    return pending


def pending_of_address(hashes: Collection[str]) -> list[PendingRequest]:
    found = PendingRequest.select().where(PendingRequest.address_hash.in_(hashes))
    return list(found.order_by(PendingRequest.id))


def unconfirmed(now: datetime) -> Expression:
    return PendingRequest.booking.is_null() & (PendingRequest.expires_at > now)


def unconfirmed_of_email(email: OutboxEmail, now: datetime) -> list[PendingRequest]:
    """The requests whose links an email carries, newest first, with their therapists."""
    found = (
        PendingRequest.select(PendingRequest, Therapist)
        .join(Therapist)
        .where(PendingRequest.told_by == email, unconfirmed(now))
    )
    return list(found.order_by(PendingRequest.id.desc()))


_WITH_ENDED_HOLDS = Statement[Therapist](
    lambda now: Therapist.select().where(
        Therapist.id.in_(
            PendingRequest.select(PendingRequest.therapist).where(PendingRequest.held_until <= now)
        )
    )
)


def therapists_with_ended_holds(now: datetime) -> list[Therapist]:
    return _WITH_ENDED_HOLDS.all(now)


def holds_of_therapist(therapist: Therapist, now: datetime) -> int:
    held = PendingRequest.held_until > now
    return int(PendingRequest.select().where(PendingRequest.therapist == therapist, held).count())


def holds_of_address(address_hash: str, now: datetime) -> int:
    held = PendingRequest.held_until > now
    of_address = PendingRequest.address_hash == address_hash
    return int(PendingRequest.select().where(of_address, held).count())


def has_confirm_link_out(address_hash: str, now: datetime) -> bool:
    """Whether an email with an unexpired Confirm Request link has left to that address."""
    is_out = OutboxEmail.status.in_([OutboxStatus.SENDING, OutboxStatus.SENT])
    out = (
        PendingRequest.select()
        .join(OutboxEmail, on=PendingRequest.told_by == OutboxEmail.id)
        .where(PendingRequest.address_hash == address_hash, unconfirmed(now), is_out)
    )
    return bool(out.exists())


def locked_waiting_confirmation(address_hash: str) -> OutboxEmail | None:
    """The email to that address that has not left yet; the lock keeps it from leaving."""
    told = PendingRequest.select(PendingRequest.told_by).where(
        PendingRequest.address_hash == address_hash
    )
    waiting = OutboxEmail.select().where(
        OutboxEmail.id.in_(told),
        OutboxEmail.kind == CONFIRM_REQUEST,
        OutboxEmail.status == OutboxStatus.QUEUED,
    )
    email: OutboxEmail | None = locking(waiting.order_by(OutboxEmail.id.desc()).limit(1)).first()
    return email

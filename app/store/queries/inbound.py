"""Messages that came in: which waits, what was answered before; who complained."""

from datetime import datetime
from typing import Any

from peewee import Expression

from app.mail_addresses import AddressKind
from app.rules.lifecycle import Actor
from app.store.models import (
    AccessEntry,
    AccessEvent,
    Booking,
    DeliveryAttempt,
    InboundMessage,
    InboundStatus,
    OutboxEmail,
    OutboxStatus,
    Outcome,
    Party,
    Role,
    TimelineEntry,
)
from app.store.queries.locking import locking

# `mindsum check mail` reads its own.
_WAITING = (InboundMessage.status == InboundStatus.WAITING) & (
    InboundMessage.kind != AddressKind.CHECK
)


def next_waiting(now: datetime, after: int) -> InboundMessage | None:
    """The first that is due among those with a higher number than `after`."""
    is_due = _WAITING & (InboundMessage.due_at <= now) & (InboundMessage.id > after)
    found: InboundMessage | None = (
        InboundMessage.select().where(is_due).order_by(InboundMessage.id).first()
    )
    return found


def lock_waiting(message_id: int) -> InboundMessage | None:
    """None if another process has handled it."""
    query = InboundMessage.select().where(_WAITING, InboundMessage.id == message_id)
    found: InboundMessage | None = locking(query).first()
    return found


def is_answered(answer_key: str) -> bool:
    return bool(InboundMessage.select().where(InboundMessage.answer_key == answer_key).exists())


def has_newer_answer(
    booking: Booking, whose: Expression, sequence: int, stamped_at: datetime
) -> bool:
    """Whether a calendar answer that was given later has been handled before."""
    is_newer = (InboundMessage.answer_sequence > sequence) | (
        (InboundMessage.answer_sequence == sequence)
        & (InboundMessage.answer_stamped_at > stamped_at)
    )
    about = InboundMessage.booking == booking
    return bool(InboundMessage.select().where(about, whose, is_newer).exists())


def last_handed_over(booking: Booking, role: Role, kinds: list[str]) -> datetime | None:
    """When the mail server took the newest email of these kinds."""
    sent = (OutboxEmail.status == OutboxStatus.SENT) & OutboxEmail.kind.in_(kinds)
    newest: OutboxEmail | None = (
        OutboxEmail.select(OutboxEmail.settled_at)
        .where(OutboxEmail.booking == booking, OutboxEmail.role == role, sent)
        .order_by(OutboxEmail.settled_at.desc())
        .first()
    )
    return newest.settled_at if newest else None


def last_move(booking: Booking) -> TimelineEntry | None:
    """The line of the last change of its time."""
    entries = TimelineEntry.select().where(
        TimelineEntry.booking == booking, TimelineEntry.event == "moved"
    )
    newest: TimelineEntry | None = entries.order_by(TimelineEntry.id.desc()).first()
    return newest


def newest_of_kind(
    kind: str, about: str, role: Role, facts: dict[str, Any] | None = None
) -> datetime | None:
    """When an email of that kind and name was last written, with these facts if they are given."""
    is_it = (OutboxEmail.kind == kind) & (OutboxEmail.about == about) & (OutboxEmail.role == role)
    if facts is not None:
        is_it &= OutboxEmail.facts == facts
    newest = (
        OutboxEmail.select(OutboxEmail.created_at)
        .where(is_it)
        .order_by(OutboxEmail.created_at.desc())
        .first()
    )
    return newest.created_at if newest else None


def was_opened(email: OutboxEmail) -> bool:
    """Whether a link of the email was opened, or its therapist acted on the booking."""
    # Links of an earlier release do not name their email.
    of_email = (AccessEntry.email_id == email.id) | AccessEntry.email_id.is_null()
    opened = AccessEntry.select().where(
        AccessEntry.booking == email.booking,
        AccessEntry.event == AccessEvent.LINK_OPENED,
        AccessEntry.by == Party.THERAPIST,
        AccessEntry.last_at >= email.created_at,
        of_email,
    )
    acted = TimelineEntry.select().where(
        TimelineEntry.booking == email.booking, TimelineEntry.by == Actor.THERAPIST
    )
    return bool(opened.exists() or acted.exists())


def has_bounced_since(email: OutboxEmail, since: datetime) -> bool:
    """Whether an earlier email to the same recipient bounced."""
    about = email.booking or email
    column, own, number = (
        (Booking.client, OutboxEmail.client, about.client_id)
        if email.role is Role.CLIENT
        else (Booking.therapist, OutboxEmail.therapist, about.therapist_id)
    )
    theirs = (own == number) | OutboxEmail.booking.in_(
        Booking.select(Booking.id).where(column == number)
    )
    others = OutboxEmail.select(OutboxEmail.id).where(
        theirs, OutboxEmail.role == email.role, OutboxEmail.id != email.id
    )
    bounced = (DeliveryAttempt.outcome == Outcome.BOUNCED) & (DeliveryAttempt.at > since)
    return bool(DeliveryAttempt.select().where(bounced, DeliveryAttempt.email.in_(others)).exists())


def oldest_waiting_at(now: datetime) -> datetime | None:
    """When the oldest message came that is due and not handled yet."""
    is_due = _WAITING & (InboundMessage.due_at <= now)
    first = InboundMessage.select().where(is_due).order_by(InboundMessage.received_at).first()
    return first.received_at if first else None

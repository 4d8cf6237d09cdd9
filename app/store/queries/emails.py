"""Emails of the outbox: for ops, and those of one booking."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from peewee import JOIN, SQL, Expression, ModelSelect, Value

from app.errors import NotFound
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    Client,
    Complaint,
    OutboxEmail,
    OutboxStatus,
    Role,
    Suppression,
    Therapist,
    TimelineEntry,
)
from app.store.queries.locking import locking

T = TypeVar("T")


def email_by_id(email_id: int) -> OutboxEmail:
    """Raises NotFound."""
    email: OutboxEmail | None = OutboxEmail.get_or_none(OutboxEmail.id == email_id)
    if email is None:
        raise NotFound("email")
    return email


def failed_emails_to(person: Therapist | Client) -> list[OutboxEmail]:
    is_client = isinstance(person, Client)
    of_booking = Booking.client if is_client else Booking.therapist
    own = OutboxEmail.client if is_client else OutboxEmail.therapist
    role = Role.CLIENT if is_client else Role.THERAPIST
    failed = (OutboxEmail.role == role) & (OutboxEmail.status == OutboxStatus.FAILED)
    emails = OutboxEmail.select().join(Booking, JOIN.LEFT_OUTER)
    return list(
        emails.where((of_booking == person) | (own == person), failed).order_by(OutboxEmail.id)
    )


def has_left(about: str) -> bool:
    """Whether an email about it has been sent, or is being sent."""
    is_out = OutboxEmail.status.in_([OutboxStatus.SENDING, OutboxStatus.SENT])
    return bool(OutboxEmail.select().where(OutboxEmail.about == about, is_out).exists())


def locked_waiting(about: str) -> OutboxEmail | None:
    """The newest email about it that has not left yet; the lock keeps it from leaving."""
    waiting = OutboxEmail.select().where(
        OutboxEmail.about == about, OutboxEmail.status == OutboxStatus.QUEUED
    )
    email: OutboxEmail | None = locking(waiting.order_by(OutboxEmail.id.desc()).limit(1)).first()
    return email


def emails_about_bookings(
    person: Client | Therapist, role: Role, limit: int
) -> list[tuple[int, str, str, int]]:
    """(number, reference, kind, ordinal) of the newest emails to a person about bookings."""
    own = Booking.client if role is Role.CLIENT else Booking.therapist
    emails = (
        OutboxEmail.select(OutboxEmail.id, Booking.reference, OutboxEmail.kind, OutboxEmail.ordinal)
        .join(Booking)
        .where(own == person, OutboxEmail.role == role)
    )
    rows = emails.order_by(OutboxEmail.id.desc()).limit(limit).tuples()
    return cast("list[tuple[int, str, str, int]]", list(rows))


# In place of an email's kind: its recipient's address gets no email, or no reminders.
UNREACHABLE, COMPLAINED = "", "complaint"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An email of a booking, or what is known of a side's address."""

    role: Role
    kind: str
    status: OutboxStatus
    created_at: datetime
    ended_at: datetime | None
    error: str | None
    email: int | None


_DELIVERY = (
    OutboxEmail.role,
    OutboxEmail.kind,
    OutboxEmail.status,
    OutboxEmail.created_at,
    OutboxEmail.settled_at,
    OutboxEmail.last_error,
    OutboxEmail.id,
)


def _deliveries(booking_id: Any, client_key: Any, therapist_key: Any) -> Any:
    emails = OutboxEmail.select(*_DELIVERY).where(OutboxEmail.booking == booking_id)
    # One query: every page of a booking asks this.
    addresses = (
        _unreachable(Value(Role.CLIENT), Suppression.address_key == client_key)
        .union_all(_unreachable(Value(Role.THERAPIST), Suppression.address_key == therapist_key))
        .union_all(_complained(Value(Role.CLIENT), Complaint.address_key == client_key))
        .union_all(_complained(Value(Role.THERAPIST), Complaint.address_key == therapist_key))
    )
    return emails.union_all(addresses).tuples()


_DELIVERIES = Statement[tuple[Any, ...]](_deliveries)


def deliveries_of(booking: Booking) -> list[Delivery]:
    ahead: ReadAhead | None = booking.read_ahead
    if ahead is not None:
        return ahead.deliveries
    rows = _DELIVERIES.all(booking.id, booking.client.email_key, booking.therapist.email_key)
    return [Delivery(*row) for row in rows]


def _unreachable(whose: Any, condition: Expression) -> "ModelSelect[Suppression]":
    return Suppression.select(
        whose,
        Value(UNREACHABLE),
        Value(OutboxStatus.FAILED),
        Suppression.at,
        Suppression.at,
        Suppression.reason,
        Suppression.email,
    ).where(condition)


def _complained(whose: Any, condition: Expression) -> "ModelSelect[Complaint]":
    return Complaint.select(
        whose,
        Value(COMPLAINED),
        Value(OutboxStatus.SKIPPED),
        Complaint.at,
        Complaint.at,
        SQL("NULL"),
        SQL("NULL"),
    ).where(condition)


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What was read of a booking together with others, to serve `facts_of_request` and others."""

    request_facts: dict[str, Any]
    deliveries: list[Delivery]
    # Ids of all that were read together; the bookings would form a reference cycle.
    booking_ids: Sequence[int]
    # What was read for them all since, by key.
    shared: dict[Hashable, Any]


_REQUESTS = Statement[TimelineEntry](
    lambda ids: TimelineEntry.select(TimelineEntry.booking, TimelineEntry.facts).where(
        TimelineEntry.booking.in_(ids), TimelineEntry.event == "requested"
    )
)
_EMAILS_OF_EACH = Statement[OutboxEmail](
    lambda ids: OutboxEmail.select(*_DELIVERY, OutboxEmail.booking).where(
        OutboxEmail.booking.in_(ids)
    )
)
_OF_ADDRESSES = Statement[tuple[Any, ...]](
    lambda keys: (
        _unreachable(Suppression.address_key, Suppression.address_key.in_(keys))
        .union_all(_complained(Complaint.address_key, Complaint.address_key.in_(keys)))
        .tuples()
    )
)


def read_ahead(bookings: Collection[Booking]) -> None:
    """Read several bookings' facts and deliveries at once; each keeps what it had then."""
    ids = sorted({booking.id for booking in bookings})
    if not ids:
        return
    facts = {entry.booking_id: entry.facts for entry in _REQUESTS.all(ids)}
    emails: dict[int | None, list[Delivery]] = {}
    for row in _EMAILS_OF_EACH.all(ids):
        told = Delivery(
            row.role, row.kind, row.status, row.created_at, row.settled_at, row.last_error, row.id
        )
        emails.setdefault(row.booking_id, []).append(told)
    keys = {person.email_key for each in bookings for person in (each.client, each.therapist)}
    known: dict[str, list[tuple[Any, ...]]] = {}
    for address_key, kind, status, *rest in _OF_ADDRESSES.all(sorted(keys)):
        known.setdefault(address_key, []).append((kind, OutboxStatus(status), *rest))
    shared = dict[Hashable, Any]()
    for booking in bookings:
        sides = ((Role.CLIENT, booking.client), (Role.THERAPIST, booking.therapist))
        addresses = [
            Delivery(role, *each)
            for role, person in sides
            for each in known.get(person.email_key, ())
        ]
        deliveries = [*emails.get(booking.id, []), *addresses]
        booking.read_ahead = ReadAhead(facts.get(booking.id, {}), deliveries, ids, shared)


def read_together(booking: Booking, key: Hashable, read: Callable[[Sequence[int]], T]) -> T:
    """`read(booking_ids)`, called once for all bookings that `read_ahead` read with this one."""
    ahead: ReadAhead | None = booking.read_ahead
    if ahead is None:
        return read([booking.id])
    if key not in ahead.shared:
        ahead.shared[key] = read(ahead.booking_ids)
    found: T = ahead.shared[key]
    return found

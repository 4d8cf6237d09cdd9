"""What ops looks for: bookings, emails, open enquiries, addresses that emails do not reach."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from peewee import Expression

from app.rules.lifecycle import Status
from app.store.models import (
    Booking,
    Client,
    OutboxEmail,
    OutboxStatus,
    StandingEntry,
    Suppression,
    Therapist,
    TherapistPhone,
)
from app.store.queries.bookings import REQUESTED, with_therapist_and_client


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFilters:
    """What a search asks for; None does not restrict it.

    `late_at`: enquiries that are late at that instant. `starts_from` and `starts_before`: sessions
    that start between them.
    """

    status: Status | None = None
    therapist: Therapist | None = None
    client: Client | None = None
    late_at: datetime | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None


def find_bookings(filters: BookingFilters, *, limit: int, skip: int = 0) -> list[Booking]:
    """The newest first, or by their start where a span is given; with therapist and client."""
    found = with_therapist_and_client(_fits(filters))
    is_span = filters.starts_from is not None
    order = Booking.starts_at if is_span else Booking.id.desc()
    return list(found.order_by(order, Booking.id).limit(limit).offset(skip))


def _fits(filters: BookingFilters) -> Expression:
    # SQLite finds the newest by the key, where nothing else restricts the search.
    condition: Expression = Booking.id > 0
    if filters.starts_from is not None and filters.starts_before is not None:
        # For the index over therapist and start.
        condition = Booking.therapist.in_(Therapist.select(Therapist.id))
        condition &= Booking.starts_at >= filters.starts_from
        condition &= Booking.starts_at < filters.starts_before
    if filters.status is not None:
        condition &= Booking.status == filters.status
    if filters.therapist is not None:
        condition &= Booking.therapist == filters.therapist
    if filters.client is not None:
        condition &= Booking.client == filters.client
    if filters.late_at is not None:
        late_at = filters.late_at
        condition &= REQUESTED & (Booking.answer_by < late_at) & (Booking.expires_at > late_at)
    return condition


def open_enquiries(now: datetime, limit: int) -> list[Booking]:
    """Of all therapists, with therapist and client; who was due to answer first comes first."""
    is_open = REQUESTED & (Booking.expires_at > now)
    found = with_therapist_and_client(is_open)
    return list(found.order_by(Booking.answer_by, Booking.id).limit(limit))


def phones_of(therapist_ids: Collection[int]) -> dict[int, str]:
    """Decrypted, by therapist id; without those who have none."""
    if not therapist_ids:
        return {}
    rows = TherapistPhone.select().where(TherapistPhone.therapist.in_(sorted(therapist_ids)))
    return {row.therapist_id: row.number for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailFilters:
    """What a search of the outbox asks for; None does not restrict it."""

    status: OutboxStatus | None = None
    kind: str | None = None
    booking: Booking | None = None
    therapist: Therapist | None = None


def find_emails(filters: EmailFilters, *, limit: int, skip: int = 0) -> list[OutboxEmail]:
    """The newest first."""
    condition: Expression = OutboxEmail.id > 0
    if filters.status is not None:
        condition &= OutboxEmail.status == filters.status
    if filters.kind is not None:
        condition &= OutboxEmail.kind == filters.kind
    if filters.booking is not None:
        condition &= OutboxEmail.booking == filters.booking
    if filters.therapist is not None:
        own = Booking.select(Booking.id).where(Booking.therapist == filters.therapist)
        about_them = OutboxEmail.therapist == filters.therapist
        condition &= about_them | OutboxEmail.booking.in_(own)
    emails = OutboxEmail.select().where(condition).order_by(OutboxEmail.id.desc())
    return list(emails.limit(limit).offset(skip))


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An address that emails do not reach, and its person; None for a visitor."""

    suppression: Suppression
    person: Therapist | Client | None

    @property
    def address(self) -> str:
        return self.person.email if self.person else self.suppression.address_key

    @property
    def who(self) -> str:
        if self.person is None:
            return "visitor"
        return "therapist" if isinstance(self.person, Therapist) else "client"


def unreachable_people(limit: int) -> list[Unreachable]:
    """The newest first."""
    rows = list(Suppression.select().order_by(Suppression.id.desc()).limit(limit))
    keys = [row.address_key for row in rows]
    people: dict[str, Therapist | Client] = {}
    for table in (Client, Therapist) if keys else ():
        people |= {each.email_key: each for each in table.select().where(table.email_key.in_(keys))}
    return [Unreachable(row, people.get(row.address_key)) for row in rows]


def standing_of(therapist: Therapist, limit: int) -> list[StandingEntry]:
    """What changed a therapist's streak or account, the newest first, with the reasons of ops."""
    entries = StandingEntry.select().where(StandingEntry.therapist == therapist)
    return list(entries.order_by(StandingEntry.id.desc()).limit(limit))

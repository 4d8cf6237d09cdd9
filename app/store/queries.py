"""Named reads; each is served by an index."""

from datetime import datetime

from peewee import Expression, ModelSelect

from app.errors import NotFound
from app.rules.lifecycle import LIVE, Status
from app.store.database import is_sqlite
from app.store.models import Booking, Client, Therapist, TimeOff

REQUESTED = Booking.status == Status.REQUESTED
ACCEPTED = Booking.status == Status.ACCEPTED
LISTED = Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden


def email_key(address: str) -> str:
    """The identity of an email address: the same without regard to case."""
    return address.strip().casefold()


def locked_therapist(therapist_id: int) -> Therapist:
    """The therapist, whose row is the lock on everything that is theirs until the commit.

    Every writing use case takes it first, so that no two of them can wait for one another.
    """
    query = Therapist.select().where(Therapist.id == therapist_id)
    if not is_sqlite():
        query = query.for_update("FOR NO KEY UPDATE")
    therapist: Therapist = query.get()
    return therapist


def therapist_by_slug(slug: str) -> Therapist:
    """Raises NotFound."""
    therapist: Therapist | None = Therapist.get_or_none(Therapist.slug == slug)
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def therapist_by_email(address: str) -> Therapist | None:
    """The therapist with that address, without regard to case."""
    therapist: Therapist | None = Therapist.get_or_none(Therapist.email_key == email_key(address))
    return therapist


def client_by_email(address: str) -> Client | None:
    """The client with that address, without regard to case."""
    client: Client | None = Client.get_or_none(Client.email_key == email_key(address))
    return client


def with_therapist_and_client(condition: Expression) -> ModelSelect:
    """Bookings that fit, each with its therapist and client."""
    return (
        Booking.select(Booking, Therapist, Client)
        .join(Therapist)
        .switch(Booking)
        .join(Client)
        .where(condition)
    )


def booking_by_reference(reference: str) -> Booking:
    """The booking with its therapist and client. Raises NotFound."""
    booking: Booking | None = with_therapist_and_client(
        Booking.reference == reference.strip().upper()
    ).first()
    if booking is None:
        raise NotFound("booking")
    return booking


def booking_by_id(booking_id: int) -> Booking:
    """The booking with its therapist and client. Raises NotFound."""
    booking: Booking | None = with_therapist_and_client(Booking.id == booking_id).first()
    if booking is None:
        raise NotFound("booking")
    return booking


def live_bookings_of_client(client: Client, now: datetime) -> list[Booking]:
    """Requested and accepted bookings that have not ended, soonest first."""
    return list(
        with_therapist_and_client(
            (Booking.client == client) & Booking.status.in_(LIVE) & (Booking.ends_at > now)
        ).order_by(Booking.starts_at)
    )


def enquiries_of(therapist: Therapist, now: datetime) -> list[Booking]:
    """Unanswered, unexpired bookings of one therapist, the most urgent first."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist) & REQUESTED & (Booking.expires_at > now)
        ).order_by(Booking.expires_at)
    )


def upcoming_sessions_of(therapist: Therapist, now: datetime) -> list[Booking]:
    """Accepted sessions of one therapist that have not ended, soonest first."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist) & ACCEPTED & (Booking.ends_at > now)
        ).order_by(Booking.starts_at)
    )


def accepted_between(therapist: Therapist, start: datetime, end: datetime) -> list[Booking]:
    """Accepted sessions of one therapist that touch [start, end), in order."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist)
            & ACCEPTED
            & (Booking.starts_at < end)
            & (Booking.ends_at > start)
        ).order_by(Booking.starts_at)
    )


def held_spans(
    therapist: Therapist, start: datetime, end: datetime, now: datetime
) -> list[tuple[datetime, datetime]]:
    """The [start, end) of every booking that holds its time at `now` and touches [start, end)."""
    rows = (
        Booking.select(Booking.starts_at, Booking.ends_at)
        .where(
            Booking.therapist == therapist,
            ACCEPTED | (REQUESTED & (Booking.expires_at > now)),
            Booking.starts_at < end,
            Booking.ends_at > start,
        )
        .order_by(Booking.starts_at)
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def time_off_spans(
    therapist: Therapist, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """The [start, end) of every time off of one therapist that touches [start, end)."""
    rows = (
        TimeOff.select()
        .where(TimeOff.therapist == therapist, TimeOff.ends_at > start, TimeOff.starts_at < end)
        .order_by(TimeOff.starts_at)
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def therapists_listed() -> ModelSelect:
    """Therapists on Find a Therapist, by name."""
    return Therapist.select().where(LISTED).order_by(Therapist.name, Therapist.id)


def due_ids(due: Expression, order: object, limit: int) -> list[int]:
    """The ids of bookings for which something is due, the longest overdue first."""
    return [row.id for row in Booking.select(Booking.id).where(due).order_by(order).limit(limit)]


def overdue_expiry(now: datetime) -> Expression:
    """Enquiries that the clock has ended."""
    return REQUESTED & (Booking.expires_at <= now)


def overdue_completion(now: datetime) -> Expression:
    """Accepted sessions that ended ten minutes ago or earlier."""
    return ACCEPTED & (Booking.completes_at <= now)


def free_consultations_of(client: Client) -> ModelSelect:
    """The ids of therapists with whom a live or used free consultation stands."""
    return Booking.select(Booking.therapist).where(
        Booking.client == client,
        Booking.uses_free_consultation,
    )

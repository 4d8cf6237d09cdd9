"""The access trail: what was done to a booking, a therapist's or a client's data."""

from datetime import datetime

from peewee import JOIN, ModelSelect

from app.store.models import AccessEntry, AccessEvent, Booking, Client, Party, Therapist

_READINGS = (AccessEvent.READ, AccessEvent.SESSION_REFUSED)
_OTHERS = (Party.THERAPIST, Party.OPS)


def newest_access(
    *,
    booking: Booking | None = None,
    therapist: Therapist | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[AccessEntry]:
    """The newest first, with booking and therapist."""
    rows = _with_booking_and_therapist()
    if booking is not None:
        rows = rows.where(AccessEntry.booking == booking)
    if therapist is not None:
        rows = rows.where(AccessEntry.therapist == therapist)
    if since is not None:
        rows = rows.where(AccessEntry.last_at >= since)
    return list(rows.order_by(AccessEntry.at.desc(), AccessEntry.id.desc()).limit(limit))


def access_to_client(client: Client) -> list[AccessEntry]:
    """The oldest first, with booking and therapist."""
    rows = _with_booking_and_therapist().where(AccessEntry.client == client)
    return list(rows.order_by(AccessEntry.at, AccessEntry.id))


def access_of_therapist(therapist: Therapist) -> list[AccessEntry]:
    """What the therapist did, and what ops did with the therapist's data, the oldest first."""
    # What clients open is not the therapist's to know.
    rows = _with_booking_and_therapist().where(
        AccessEntry.therapist == therapist, AccessEntry.by.in_(_OTHERS)
    )
    return list(rows.order_by(AccessEntry.at, AccessEntry.id))


def readings_of(booking: Booking, limit: int) -> list[AccessEntry]:
    """When its therapist or ops read what people wrote in it or others tried, the newest first."""
    # What the client opens is not the therapist's to know.
    is_read = (AccessEntry.booking == booking) & AccessEntry.event.in_(_READINGS)
    is_exported = (
        (AccessEntry.client == booking.client_id)
        & AccessEntry.booking.is_null()
        & (AccessEntry.event == AccessEvent.EXPORTED)
    )
    rows = AccessEntry.select().where(is_read | is_exported, AccessEntry.by.in_(_OTHERS))
    return list(rows.order_by(AccessEntry.at.desc(), AccessEntry.id.desc()).limit(limit))


def _with_booking_and_therapist() -> "ModelSelect[AccessEntry]":
    return (
        AccessEntry.select(AccessEntry, Booking, Therapist)
        .join_from(AccessEntry, Booking, JOIN.LEFT_OUTER)
        .join_from(AccessEntry, Therapist, JOIN.LEFT_OUTER)
    )

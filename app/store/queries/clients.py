"""Clients: finding one, locking them, their live bookings."""

from datetime import datetime
from typing import Any

from peewee import ModelSelect

from app.rules.lifecycle import LIVE, Status
from app.store.models import Booking, Client, email_key
from app.store.queries.bookings import with_therapist_and_client
from app.store.queries.locking import locking


def client_by_email(address: str) -> Client | None:
    client: Client | None = Client.get_or_none(Client.email_key == email_key(address))
    return client


def locked_client(address: str) -> Client | None:
    """None also if erased while this waited."""
    # Lock order: therapists first, then clients.
    query = Client.select().where(Client.email_key == email_key(address))
    client: Client | None = locking(query).first()
    return client


def live_bookings_of_client(client: Client, now: datetime) -> list[Booking]:
    """Requested and accepted bookings that have not ended, soonest first."""
    return list(
        with_therapist_and_client(
            (Booking.client == client) & Booking.status.in_(LIVE) & (Booking.ends_at > now)
        ).order_by(Booking.starts_at)
    )


def clients_with_live_bookings() -> Any:
    """A subquery of client ids."""
    live = Booking.alias()
    # In two parts, because each has an index of its own.
    enquiries, sessions = (
        live.select(live.client).where(live.status == status)
        for status in (Status.REQUESTED, Status.ACCEPTED)
    )
    return enquiries.union_all(sessions)


def names_of_client(client: Client) -> list[str]:
    """Each full name that they gave for a booking."""
    named = Booking.select(Booking.client_name).where(Booking.client == client).distinct()
    return [each.client_name for each in named]


def newest_booking_of_client(client: Client) -> Booking:
    """There is one: a client's row is written with their first booking."""
    newest: Booking = (
        Booking.select().where(Booking.client == client).order_by(Booking.id.desc()).get()
    )
    return newest


def free_consultations_of(client: Client) -> "ModelSelect[Booking]":
    """A subquery of therapist ids."""
    return Booking.select(Booking.therapist).where(
        Booking.client == client, Booking.uses_free_consultation
    )

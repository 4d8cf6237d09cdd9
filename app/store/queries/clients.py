"""Clients: finding one, locking them, their live bookings."""

from datetime import datetime
from typing import Any

from peewee import EXCLUDED, ModelSelect

from app.rules.lifecycle import LIVE, Status
from app.store.db.statements import Statement
from app.store.models import Booking, Client, email_key
from app.store.queries.bookings import with_therapist_and_client
from app.store.queries.locking import locking


def client_by_id(client_id: int) -> Client | None:
    client: Client | None = Client.get_or_none(Client.id == client_id)
    return client


def client_by_email(address: str) -> Client | None:
    client: Client | None = Client.get_or_none(Client.email_key == email_key(address))
    return client


_LOCKED = Statement[Client](lambda key: locking(Client.select().where(Client.email_key == key)))


def locked_client(address: str) -> Client | None:
    """None also if erased while this waited."""
    # Lock order: therapists first, then clients.
    return _LOCKED.first(email_key(address))


_NEW = Statement[Client](
    lambda email, key, created_at: (
        Client.insert(email=email, email_key=key, created_at=created_at)
        .on_conflict(
            conflict_target=[Client.email_key], update={Client.email_key: EXCLUDED.email_key}
        )
        .returning(Client)
    )
)


def locked_or_new_client(address: str, now: datetime) -> Client:
    client = locked_client(address)
    if client is None:
        # Two first requests of one person, to two therapists, share no lock: an update waits too.
        created_at = Client.created_at.db_value(now)
        client = _NEW.first(address, email_key(address), created_at)
        assert client is not None
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

"""Everything held on a client, for a client who asks for it."""

from datetime import datetime
from typing import Any

from app.errors import NotFound
from app.services import access_trail, exports, limits
from app.services.access_trail import Access
from app.services.inbound import personal_data
from app.store import queries, suppressions
from app.store.models import AccessEvent, Booking, OutboxEmail, Purpose, Role
from app.store.queries import pending as pending_requests


def export_client(address: str, now: datetime) -> dict[str, Any]:
    """Everything held on a client, as JSON values. Raises NotFound.

    Raises StoreUnavailable too where the access trail cannot record it.
    """
    client, unconfirmed = queries.client_by_email(address), _unconfirmed(address)
    if client is None and not unconfirmed:
        raise NotFound("client with that address")
    access_trail.record_required(Access(AccessEvent.EXPORTED, client=client, about="client"), now)
    if client is None:
        return {"email": address, "bookings": [], "unconfirmed": unconfirmed}
    bookings = Booking.select().where(Booking.client == client)
    unreachable = suppressions.of_address(client.email)
    return {
        "email": client.email,
        "first_seen_at": client.created_at.isoformat(),
        "no_emails_because": unreachable.reason if unreachable else None,
        "bookings": [_booking(booking) for booking in bookings.order_by(Booking.id)],
        "emails": exports.emails(OutboxEmail.client == client),
        "unconfirmed": unconfirmed,
        "sent_to_us": personal_data.export(client),
        "access": [exports.access(entry) for entry in queries.access_to_client(client)],
    }


def _unconfirmed(address: str) -> list[dict[str, Any]]:
    """What was typed with that address and is not confirmed yet."""
    found = pending_requests.pending_of_address(limits.address_hashes(address))
    return [
        {
            **pending.typed,
            "therapist": pending.therapist.slug,
            "kind": str(pending.kind),
            "starts_at": pending.starts_at.isoformat(),
            "at": pending.created_at.isoformat(),
        }
        for pending in found
        if pending.booking_id is None
    ]


def _booking(booking: Booking) -> dict[str, Any]:
    # A therapist's private notes are the therapist's own records.
    writings = queries.writings_of(booking, *(set(Purpose) - {Purpose.PRIVATE_NOTE}))
    return {
        "reference": booking.reference,
        "therapist": booking.therapist.slug,
        "name": booking.client_name,
        "given_name": booking.client_given_name,
        "timezone": booking.client_timezone,
        **exports.booking(booking, Role.CLIENT, writings),
    }

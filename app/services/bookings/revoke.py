"""Ends the links to a booking that were sent until now."""

from app.services.bookings import log, transitions
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking


@in_transaction
def revoke_links(reference: str) -> Booking:
    """Emails that leave later carry new links. Raises NotFound."""
    booking = transitions.lock_booking(queries.booking_by_reference(reference))
    Booking.update(epoch=Booking.epoch + 1).where(Booking.id == booking.id).execute()
    log.booking_event("links_revoked", booking)
    return booking

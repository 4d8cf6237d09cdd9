"""Ends the links to a booking that were sent until now."""

from datetime import datetime

from app.services import access_trail
from app.services.access_trail import Access
from app.services.bookings import log, transitions
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import AccessEvent, Booking


@in_transaction
def revoke_links(reference: str, now: datetime) -> Booking:
    """Emails that leave later carry new links. Raises NotFound."""
    booking = transitions.lock_booking(queries.booking_by_reference(reference))
    epoch = booking.epoch + 1
    Booking.update(epoch=epoch, oldest_epoch=epoch).where(Booking.id == booking.id).execute()
    access_trail.record(Access(AccessEvent.LINKS_REVOKED, booking), now)
    log.booking_event("links_revoked", booking)
    return booking

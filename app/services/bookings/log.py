"""One log line for each thing that happens to a booking, written after the commit."""

import structlog

from app.store.db.database import on_commit
from app.store.models import Booking

_log = structlog.get_logger("mindsum")


def booking_event(event: str, booking: Booking, *, warning: bool = False, **facts: object) -> None:
    """Logged after the commit."""
    # `facts` hold no names, addresses or notes.
    write = _log.warning if warning else _log.info
    shown = {name: str(value) for name, value in facts.items()}
    reference, slug = booking.reference, booking.therapist.slug
    on_commit(lambda: write(event, booking=reference, therapist=slug, **shown))

"""One log line per thing done, written once it is true: after the commit."""

import structlog

from app.store.db.database import on_commit
from app.store.models import Booking

_log = structlog.get_logger("mindsum")


def tell(event: str, booking: Booking, *, warning: bool = False, **facts: object) -> None:
    """Log what happened to a booking after the commit; plain facts, never a person's own words."""
    write = _log.warning if warning else _log.info
    shown = {name: str(value) for name, value in facts.items()}
    reference, slug = booking.reference, booking.therapist.slug
    on_commit(lambda: write(event, booking=reference, therapist=slug, **shown))

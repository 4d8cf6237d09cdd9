"""What ops does and looks at, on the desk and on the command line, in the access trail."""

from datetime import datetime

from app.services import access_trail
from app.services.access_trail import Access
from app.store.db.database import in_transaction
from app.store.models import AccessEvent, Booking, Client, Therapist


def record(
    what: str,
    now: datetime,
    *,
    booking: Booking | None = None,
    therapist: Therapist | None = None,
    client: Client | None = None,
) -> None:
    """In the act's transaction: what cannot be recorded is not done. Raises StoreUnavailable.

    `what` names the act, such as "accept" or "outbox_retry 7", without anybody's words or names.
    """
    acted = Access(AccessEvent.ACTED, booking, therapist, client, about=what)
    access_trail.record_required(acted, now)


def view_of(
    what: str,
    *,
    booking: Booking | None = None,
    therapist: Therapist | None = None,
    client: Client | None = None,
) -> Access:
    """That ops looked; a page records it after its answer."""
    return Access(AccessEvent.VIEWED, booking, therapist, client, about=what)


@in_transaction
def record_view(
    what: str, now: datetime, *, booking: Booking | None = None, client: Client | None = None
) -> None:
    access_trail.record(view_of(what, booking=booking, client=client), now)

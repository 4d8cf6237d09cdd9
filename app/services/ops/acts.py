"""What ops does and looks at, on the desk and on the command line, in the access trail."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from app.services import access_trail
from app.services.access_trail import Access
from app.store.db.database import in_transaction
from app.store.models import AccessEvent, Booking, Client, Therapist

Person = TypeVar("Person", Therapist, Client)


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


@in_transaction
def record_change(what: str, now: datetime, change: Callable[[], Person]) -> Person:
    """Make the change of an account or client that `change` makes, and record it with it."""
    person = change()
    therapist, client = (person, None) if isinstance(person, Therapist) else (None, person)
    record(what, now, therapist=therapist, client=client)
    return person


def record_afterwards(what: str, now: datetime) -> None:
    """For what is done even where nothing can be recorded, such as saving a damaged database."""
    access_trail.record_after([Access(AccessEvent.ACTED, about=what)], now)


def view_of(
    what: str,
    *,
    booking: Booking | None = None,
    therapist: Therapist | None = None,
    client: Client | None = None,
) -> Access:
    """That ops looked; a page records it after its answer."""
    return Access(AccessEvent.VIEWED, booking, therapist, client, about=what)


def record_view(viewed: Access, now: datetime) -> None:
    """For the command line. What can be read is shown even where nothing can be recorded."""
    access_trail.record_after([viewed], now)

"""Emails that say what a message would have meant: one for each booking, reader, cause, hour."""

from datetime import datetime, timedelta
from typing import Any

from app.rules.inbound import Why
from app.services.inbound.addresses import Person
from app.store import outbox
from app.store.models import Booking, Client, Role, Therapist
from app.store.queries import inbound as queries

EVERY = timedelta(hours=1)
ABOUT_BOOKING, _ABOUT_NONE = "answer_not_taken", "reply_not_placed"


def about_booking(booking: Booking, role: Role, why: Why, now: datetime) -> bool:
    """Whether it is queued; the therapist is locked, so that two at once are counted."""
    facts = {"why": str(why)}
    if _was_just_told(ABOUT_BOOKING, booking.reference, role, now, facts):
        return False
    outbox.enqueue(
        ABOUT_BOOKING,
        role,
        booking=booking,
        ordinal=outbox.random_ordinal(),
        facts=facts,
        now=now,
    )
    return True


def about_no_booking(person: Person, now: datetime) -> bool:
    role = Role.CLIENT if isinstance(person, Client) else Role.THERAPIST
    about = f"unplaced-{role}-{person.id}"
    if _was_just_told(_ABOUT_NONE, about, role, now):
        return False
    outbox.enqueue(
        _ABOUT_NONE,
        role,
        therapist=person if isinstance(person, Therapist) else None,
        client=person if isinstance(person, Client) else None,
        about=about,
        ordinal=outbox.random_ordinal(),
        now=now,
    )
    return True


def _was_just_told(
    kind: str, about: str, role: Role, now: datetime, facts: dict[str, Any] | None = None
) -> bool:
    last = queries.newest_of_kind(kind, about, role, facts)
    return last is not None and timedelta(0) <= now - last < EVERY

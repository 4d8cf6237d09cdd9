"""Which booking of ours a message is about, and which email it replies to."""

from collections.abc import Iterable
from dataclasses import dataclass

from app import config
from app.errors import NotFound
from app.mail_reading.facts import InboundFacts
from app.services.inbound.addresses import Person
from app.store import queries
from app.store.models import Booking, Client, InboundMessage, OutboxEmail, Role
from emails.calendar import event_uid
from emails.message import message_id

# Among so many of a person's newest emails the one that was replied to is looked for.
_NEWEST = 1000
_UID_END = event_uid("")


@dataclass(frozen=True, slots=True)
class About:
    """`email` is the one that was replied to, if it is known."""

    booking: Booking
    role: Role
    email: OutboxEmail | None = None


def about_of(stored: InboundMessage, facts: InboundFacts) -> About | None:
    """None if it is about no booking of the person whose address it came to."""
    person: Person | None = stored.therapist or stored.client
    if person is None:
        return None
    role = Role.CLIENT if isinstance(person, Client) else Role.THERAPIST
    email = stored.email or _replied_to(person, role, facts.replies_to)
    if facts.calendar is not None:
        booking = _of_uid(facts.calendar.uid)
    else:
        booking = email.booking if email else None
    if booking is None or not _is_theirs(booking, person, role):
        return None
    return About(booking, role, email if email and email.booking == booking else None)


def _is_theirs(booking: Booking, person: Person, role: Role) -> bool:
    own = booking.client_id if role is Role.CLIENT else booking.therapist_id
    return bool(own == person.id)


def _of_uid(uid: str) -> Booking | None:
    if not uid.endswith(_UID_END):
        return None
    try:
        return queries.booking_by_reference(uid.removesuffix(_UID_END))
    except NotFound:
        return None


def _replied_to(person: Person, role: Role, ids: Iterable[str]) -> OutboxEmail | None:
    wanted = list(ids)
    if not wanted:
        return None
    domain, by_id = config.current().public_host, dict[str, int]()
    for number, about, kind, ordinal in queries.emails_about_bookings(person, role, _NEWEST):
        by_id[message_id(about, kind, person.email, ordinal, domain)] = number
    found = next((by_id[each] for each in wanted if each in by_id), None)
    return queries.email_by_id(found) if found is not None else None

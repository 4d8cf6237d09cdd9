"""Which side of a booking our emails do not reach: a fact that pages and emails must respect."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.services.mail import backoff
from app.store import queries
from app.store.models import Booking, OutboxEmail, OutboxStatus, Role, Suppression

_SIDES = (Role.CLIENT, Role.THERAPIST)
_ENDED = (OutboxStatus.SENT, OutboxStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Unreached:
    """`email` is the number of the email that did not arrive, if it is known."""

    role: Role
    since: datetime
    why: str
    email: int | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the outbox has on record about telling the two sides of a booking."""

    client: Unreached | None
    therapist: Unreached | None
    # (kind, role) of the emails that a mail server took.
    sent: Collection[tuple[str, Role]]

    @property
    def unreached(self) -> list[Unreached]:
        return [side for side in (self.client, self.therapist) if side]


def reach_of(booking: Booking, now: datetime) -> Reach:
    emails = queries.emails_of(booking)
    addresses = {row.address_key: row for row in queries.unreachable_sides(booking)}
    found: dict[Role, Unreached | None] = {}
    for role in _SIDES:
        person = booking.client if role is Role.CLIENT else booking.therapist
        row = addresses.get(person.email_key)
        found[role] = _by_address(role, row) if row else _by_emails(role, emails, now)
    sent = {(email.kind, email.role) for email in emails if email.status is OutboxStatus.SENT}
    return Reach(found[Role.CLIENT], found[Role.THERAPIST], sent)


def _by_address(role: Role, row: Suppression) -> Unreached:
    return Unreached(role, row.at, row.reason, row.email_id)


def _by_emails(role: Role, emails: list[OutboxEmail], now: datetime) -> Unreached | None:
    """The last email about the booking failed, or has been kept back for a day."""
    theirs = [email for email in emails if email.role is role]
    waiting = [email for email in theirs if email.status is OutboxStatus.QUEUED]
    ended = [email for email in theirs if email.status in _ENDED]
    last = max(ended, key=lambda each: (each.settled_at or each.created_at, each.id), default=None)
    if last and last.status is OutboxStatus.FAILED:
        return Unreached(role, last.settled_at or now, last.last_error or "", last.id)
    for email in waiting:
        if now - email.created_at >= backoff.GIVE_UP_AFTER:
            return Unreached(role, email.created_at, email.last_error or "", email.id)
    return None

"""Which side of a booking our emails do not reach: a fact that pages and emails must respect."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.services.mail import backoff
from app.store import queries
from app.store.models import Booking, OutboxStatus, Role
from app.store.queries import Delivery
from app.store.queries.emails import COMPLAINED, UNREACHABLE

_SIDES = (Role.CLIENT, Role.THERAPIST)
_ENDED = (OutboxStatus.SENT, OutboxStatus.FAILED)
# A request to move a session is repeated as its own reminder.
_ASK_TO_ANSWER = ("answer_reminder", "time_proposed")


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
    # Sides that called an email of ours spam: what a booking needs still goes to them.
    complained: Collection[Role]
    # For each reminder to answer that a mail server took: when it was written.
    reminded_at: Collection[datetime]

    def reminds(self, role: Role) -> bool:
        """Whether that side gets the reminders that fall due."""
        is_unreached = (self.client if role == Role.CLIENT else self.therapist) is not None
        return not is_unreached and role not in self.complained

    @property
    def unreached(self) -> list[Unreached]:
        return [side for side in (self.client, self.therapist) if side]


def reach_of(booking: Booking, now: datetime) -> Reach:
    deliveries = queries.deliveries_of(booking)
    complained = {each.role for each in deliveries if each.kind == COMPLAINED}
    reminded_at = {
        each.created_at
        for each in deliveries
        if each.kind in _ASK_TO_ANSWER and each.status is OutboxStatus.SENT
    }
    client, therapist = (
        _unreached([each for each in deliveries if each.role is role], now) for role in _SIDES
    )
    return Reach(client, therapist, complained, reminded_at)


def _unreached(theirs: list[Delivery], now: datetime) -> Unreached | None:
    """Their address is unreachable; or the last email about the booking failed, or waits long."""
    address = next((each for each in theirs if each.kind == UNREACHABLE), None)
    ended = [each for each in theirs if each.status in _ENDED]
    last = max(ended, key=_order, default=None)
    found = address or (last if last and last.status is OutboxStatus.FAILED else None)
    if found is None:
        # A domain that refuses us keeps its emails waiting.
        queued = [each for each in theirs if each.status is OutboxStatus.QUEUED]
        waiting = [each for each in queued if now - each.created_at >= backoff.GIVE_UP_AFTER]
        found = min(waiting, key=_order, default=None)
    if found is None:
        return None
    since = found.ended_at or found.created_at
    return Unreached(found.role, since, found.error or "", found.email)


def _order(delivery: Delivery) -> tuple[datetime, int]:
    return delivery.ended_at or delivery.created_at, delivery.email or 0

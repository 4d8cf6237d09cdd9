"""What is known of the email whose link's button was pressed, in one read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import JOIN

from app.store.db.statements import Statement
from app.store.models import AccessEntry, AccessEvent, OutboxEmail, OutboxStatus


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """By purpose, booking and therapist; opened at both moments, and `times` in all."""

    purpose: str
    booking_id: int | None
    therapist_id: int | None
    times: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class EmailFacts:
    # None unless it is on record that the mail server took the email.
    handed_over_at: datetime | None
    opened: list[OpenedLink]
    # The first and last moments at which presses were asked about, without a choice since.
    asked: list[tuple[datetime, datetime]]


def _facts(email: Any) -> Any:
    return (
        OutboxEmail.select(
            OutboxEmail.status,
            OutboxEmail.settled_at,
            AccessEntry.event,
            AccessEntry.about,
            AccessEntry.booking,
            AccessEntry.therapist,
            AccessEntry.times,
            AccessEntry.at,
            AccessEntry.last_at,
        )
        .join(AccessEntry, JOIN.LEFT_OUTER, on=AccessEntry.email_id == OutboxEmail.id)
        .where(OutboxEmail.id == email)
        .tuples()
    )


_FACTS = Statement[tuple[Any, ...]](_facts)


def email_facts(email: int) -> EmailFacts | None:
    """None if the outbox has no such email any more."""
    rows = _FACTS.all(email)
    if not rows:
        return None
    status, settled_at = rows[0][:2]
    chosen = [row[-1] for row in rows if row[2] is AccessEvent.PRESS_CHOSEN]
    asked = [row[-2:] for row in rows if row[2] is AccessEvent.PRESS_ASKED]
    return EmailFacts(
        settled_at if status is OutboxStatus.SENT else None,
        [OpenedLink(*row[3:]) for row in rows if row[2] is AccessEvent.LINK_OPENED],
        [(first, last) for first, last in asked if not chosen or last > max(chosen)],
    )

"""What is known of the email whose link's button was pressed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import JOIN

from app.store.db.statements import Statement
from app.store.models import AccessEntry, AccessEvent, OutboxEmail, OutboxStatus


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """By purpose, booking and therapist; opened at both moments, and perhaps between them."""

    purpose: str
    booking_id: int | None
    therapist_id: int | None
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class EmailFacts:
    # None unless it is on record that the mail server took the email.
    handed_over_at: datetime | None
    opened: list[OpenedLink]


def _openings(email: Any) -> Any:
    is_opening = (AccessEntry.email_id == OutboxEmail.id) & (
        AccessEntry.event == AccessEvent.LINK_OPENED
    )
    return (
        OutboxEmail.select(
            OutboxEmail.status,
            OutboxEmail.settled_at,
            AccessEntry.about,
            AccessEntry.booking,
            AccessEntry.therapist,
            AccessEntry.at,
            AccessEntry.last_at,
        )
        .join(AccessEntry, JOIN.LEFT_OUTER, on=is_opening)
        .where(OutboxEmail.id == email)
        .tuples()
    )


_OPENINGS = Statement[tuple[Any, ...]](_openings)


def email_facts(email: int) -> EmailFacts | None:
    """None if the outbox has no such email any more."""
    rows = _OPENINGS.all(email)
    if not rows:
        return None
    status, settled_at = rows[0][:2]
    opened = [OpenedLink(*row[2:]) for row in rows if row[2] is not None]
    return EmailFacts(settled_at if status is OutboxStatus.SENT else None, opened)

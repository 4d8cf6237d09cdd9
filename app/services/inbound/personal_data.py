"""What the mail door keeps on a person, for their export and erasure, and for how long."""

from datetime import datetime, timedelta
from typing import Any

from peewee import Expression

from app.services.inbound.addresses import Person
from app.store.models import Client, Complaint, InboundMessage, email_key

# For so long a message is known again when a mail server repeats it, and bounces count.
KEPT = timedelta(days=30)


def export(person: Person) -> list[dict[str, Any]]:
    rows = InboundMessage.select().where(_is_from(person))
    return [
        {
            "at": each.received_at.isoformat(),
            "became": each.outcome,
            "booking": each.booking.reference if each.booking else None,
        }
        for each in rows.order_by(InboundMessage.id)
    ]


def forget(person: Person, address: str) -> None:
    """In the transaction that erases them."""
    InboundMessage.delete().where(_is_from(person)).execute()
    Complaint.delete().where(Complaint.address_key == email_key(address)).execute()


def follow_address(old: str, new: str, now: datetime) -> None:
    """In the transaction that changes it: a complaint is the person's, and is erased with them."""
    if email_key(old) == email_key(new):
        return
    if Complaint.delete().where(Complaint.address_key == email_key(old)).execute():
        Complaint.insert(address_key=email_key(new), at=now).on_conflict_ignore().execute()


def _is_from(person: Person) -> Expression:
    is_client = isinstance(person, Client)
    column = InboundMessage.client if is_client else InboundMessage.therapist
    condition: Expression = column == person
    return condition

"""Removes what emails and their delivery hold on a person who is erased."""

from datetime import datetime

from peewee import Expression

from app.store import pauses
from app.store.models import DeliveryAttempt, OutboxEmail, OutboxStatus, Role, Suppression

_WAITING = (OutboxStatus.QUEUED, OutboxStatus.SENDING, OutboxStatus.FAILED)


def erase_emails(about: Expression, role: Role, now: datetime) -> None:
    """Of the emails `about` a person, those to their `role` do not leave any more."""
    own_emails = about & (OutboxEmail.role == role)
    # What a mail server answered may name them, also where it refused an email to the other side.
    numbers = OutboxEmail.select(OutboxEmail.id).where(about)
    DeliveryAttempt.update(said=None).where(DeliveryAttempt.email.in_(numbers)).execute()
    OutboxEmail.update(last_error=None).where(about).execute()
    # Of an earlier address too.
    own = OutboxEmail.select(OutboxEmail.id).where(own_emails)
    Suppression.delete().where(Suppression.email.in_(own)).execute()
    skipped = {
        "status": OutboxStatus.SKIPPED,
        "lease_token": None,
        "last_error": f"the {role} was erased",
        "settled_at": now,
    }
    OutboxEmail.update(skipped).where(own_emails, OutboxEmail.status.in_(_WAITING)).execute()
    # A domain may name its owner.
    OutboxEmail.update(domain="").where(own_emails).execute()
    pauses.end_unused()

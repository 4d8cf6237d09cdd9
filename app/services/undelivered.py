"""What follows when an email cannot be handed over: nobody waits in silence on the other side."""

from datetime import datetime

import structlog

from app.store import outbox, queries, suppressions
from app.store.database import on_commit
from app.store.models import Booking, OutboxEmail, Role

_log = structlog.get_logger("mindsum")


def follow_up(email: OutboxEmail, why: str, now: datetime, *, is_address_refused: bool) -> None:
    """Draw the consequences of a failed email, in the transaction that settles it.

    A refused address is suppressed. Ops is told at once, once per booking, of an open enquiry
    whose therapist cannot have heard of it.
    """
    if email.role is Role.OPS:
        kind = email.kind
        on_commit(lambda: _log.error("ops_unreachable", kind=kind, why=why))
        return
    if is_address_refused:
        _suppress(email, why, now)
    if email.role is not Role.THERAPIST or not (
        is_address_refused or email.kind == "booking_requested"
    ):
        return
    about = email.booking or email
    assert about.therapist is not None
    therapist = queries.locked_therapist(about.therapist.id)
    for enquiry in queries.enquiries_of(therapist, now):
        if is_address_refused or enquiry == email.booking:
            _alert(enquiry, why, now)


def _suppress(email: OutboxEmail, why: str, now: datetime) -> None:
    key = suppressions.key_of(email)
    assert key is not None
    suppressions.add(key, why, now)
    number, role = email.id, str(email.role)
    on_commit(lambda: _log.warning("address_suppressed", email=number, to=role, why=why))


def _alert(enquiry: Booking, why: str, now: datetime) -> None:
    told = OutboxEmail.select().where(
        OutboxEmail.about == enquiry.reference,
        OutboxEmail.kind == "account_alert",
        OutboxEmail.role == Role.OPS,
    )
    if told.exists():
        return
    facts = {"what": "unreachable"}
    outbox.enqueue("account_alert", Role.OPS, booking=enquiry, facts=facts, now=now)
    reference, slug = enquiry.reference, enquiry.therapist.slug
    on_commit(
        lambda: _log.error("therapist_unreachable", booking=reference, therapist=slug, why=why)
    )

"""What follows when an email cannot be handed over: nobody waits in silence on the other side."""

from datetime import datetime

import structlog

from app.store import outbox, queries, suppressions
from app.store.db.database import on_commit
from app.store.models import Booking, OutboxEmail, Role, Therapist

_FACTS = {"what": "unreachable"}

_log = structlog.get_logger("mindsum")


def follow_up(email: OutboxEmail, why: str, now: datetime, *, is_address_refused: bool) -> None:
    """Draw the consequences of a failed email, in the transaction that settles it.

    A refused address is suppressed. Ops is told at once of a therapist who does not hear from us:
    by email once per open enquiry, or of the account where none is open; by the log each time.
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
    assert email.recipient is not None
    therapist = queries.locked_therapist(email.recipient.id)
    enquiries = queries.enquiries_of(therapist, now)
    for enquiry in enquiries:
        if is_address_refused or enquiry == email.booking:
            _alert(enquiry, why, now)
    if is_address_refused and not enquiries:
        _alert_of_account(therapist, why, now)


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
    _tell(enquiry.therapist, why, booking=enquiry.reference)
    if not told.exists():
        outbox.enqueue("account_alert", Role.OPS, booking=enquiry, facts=_FACTS, now=now)


def _alert_of_account(therapist: Therapist, why: str, now: datetime) -> None:
    about = f"unreachable-{therapist.id}"
    _tell(therapist, why)
    waits = OutboxEmail.settled_at.is_null()
    if OutboxEmail.select().where(OutboxEmail.about == about, waits).exists():
        return
    outbox.enqueue(
        "account_alert",
        Role.OPS,
        therapist=therapist,
        about=about,
        ordinal=outbox.random_ordinal(),
        facts=_FACTS,
        now=now,
    )


def _tell(therapist: Therapist, why: str, **about: str) -> None:
    slug = therapist.slug
    on_commit(lambda: _log.error("therapist_unreachable", therapist=slug, why=why, **about))

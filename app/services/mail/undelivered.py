"""What a failed email leads to: its address is suppressed, and ops is alerted."""

from datetime import datetime

import structlog

from app.store import outbox, queries, suppressions
from app.store.db.database import on_commit
from app.store.models import Booking, OutboxEmail, Role, Therapist

_FACTS = {"what": "unreachable"}

_log = structlog.get_logger("mindsum")


def follow_up(email: OutboxEmail, reason: str, now: datetime, *, is_address_refused: bool) -> None:
    """Act on a failed email, in the transaction that records the failure."""
    if email.role is Role.OPS:
        kind = email.kind
        on_commit(lambda: _log.error("ops_unreachable", kind=kind, why=reason))
        return
    if is_address_refused:
        _suppress(email, reason, now)
    if email.role is not Role.THERAPIST or not (
        is_address_refused or email.kind == "booking_requested"
    ):
        return
    assert email.recipient is not None
    # Ops gets one email for each open enquiry, or for the account where none is open.
    therapist = queries.locked_therapist(email.recipient.id)
    enquiries = queries.enquiries_of(therapist, now)
    for enquiry in enquiries:
        if is_address_refused or enquiry == email.booking:
            _alert_about_enquiry(enquiry, reason, now)
    if is_address_refused and not enquiries:
        _alert_about_account(therapist, reason, now)


def _suppress(email: OutboxEmail, reason: str, now: datetime) -> None:
    key = suppressions.key_of(email)
    assert key is not None
    suppressions.add(key, reason, now)
    email_id, role = email.id, str(email.role)
    on_commit(lambda: _log.warning("address_suppressed", email=email_id, to=role, why=reason))


def _alert_about_enquiry(enquiry: Booking, reason: str, now: datetime) -> None:
    earlier = OutboxEmail.select().where(
        OutboxEmail.about == enquiry.reference,
        OutboxEmail.kind == "account_alert",
        OutboxEmail.role == Role.OPS,
    )
    _log_unreachable(enquiry.therapist, reason, booking=enquiry.reference)
    if not earlier.exists():
        outbox.enqueue("account_alert", Role.OPS, booking=enquiry, facts=_FACTS, now=now)


def _alert_about_account(therapist: Therapist, reason: str, now: datetime) -> None:
    about = f"unreachable-{therapist.id}"
    _log_unreachable(therapist, reason)
    is_waiting = OutboxEmail.settled_at.is_null()
    if OutboxEmail.select().where(OutboxEmail.about == about, is_waiting).exists():
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


def _log_unreachable(therapist: Therapist, reason: str, **about: str) -> None:
    slug = therapist.slug
    on_commit(lambda: _log.error("therapist_unreachable", therapist=slug, why=reason, **about))

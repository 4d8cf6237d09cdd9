"""What an email that did not arrive leads to: who must hear of it, and when it is over."""

from datetime import datetime

import structlog
from peewee import IntegrityError

from app.mailer.replies import AddressFault
from app.rules.lifecycle import LIVE, Actor, Status, Via
from app.services.bookings import log, transitions
from app.store import outbox, queries, suppressions
from app.store.db.database import on_commit, savepoint
from app.store.models import Booking, Client, OutboxEmail, PendingRequest, Role, Therapist

# After the client has moved the enquiry or kept its time.
_ASKING_ANEW = frozenset({"time_taken", "time_kept"})
_FACTS = {"what": "unreachable"}
# The client may still expect, or wait for, a session that starts later.
_ENDED_WITHOUT_CLIENT = frozenset({Status.DECLINED, Status.EXPIRED, Status.CANCELLED_BY_THERAPIST})

_log = structlog.get_logger("mindsum")


def follow_up(
    email: OutboxEmail, reason: str, now: datetime, *, fault: AddressFault | None
) -> None:
    """Act on an email that did not arrive, in the transaction that records it."""
    if email.role is Role.OPS:
        kind = email.kind
        on_commit(lambda: _log.error("ops_unreachable", kind=kind, why=reason))
        return
    if email.recipient is None:
        # A visitor's requests are over.
        return
    if fault is not None:
        _note_address(email, reason, now, fault)
    if email.role is Role.CLIENT:
        _client_missed(email, reason, now, is_address=fault is not None)
    else:
        _therapist_missed(email, reason, now, is_address=fault is not None)


def asks_for_an_answer(email: OutboxEmail) -> bool:
    """Whether a therapist hears of an open enquiry by it: their delay counts from then on."""
    if email.kind == "booking_requested":
        return True
    is_asked_anew = email.kind in _ASKING_ANEW and email.role is Role.THERAPIST
    return is_asked_anew and email.booking is not None and email.booking.status == Status.REQUESTED


def end(email: OutboxEmail) -> None:
    """An email arrived: its recipient can be reached again."""
    if email.role is Role.OPS or not suppressions.end(email):
        return
    slug = getattr(email.recipient, "slug", None)
    facts = {"to": str(email.role), "therapist": slug, "email": email.id}
    on_commit(lambda: _log.info("reachable_again", **facts))


def _note_address(email: OutboxEmail, reason: str, now: datetime, fault: AddressFault) -> None:
    is_dead, is_doubted = fault is AddressFault.DEAD, fault is AddressFault.DOUBTED
    if suppressions.add(email, reason, now, is_proven=is_dead, is_doubted=is_doubted):
        email_id, role = email.id, str(email.role)
        on_commit(lambda: _log.warning("address_suppressed", email=email_id, to=role, why=reason))


def _client_missed(email: OutboxEmail, reason: str, now: datetime, *, is_address: bool) -> None:
    about = {email.booking} if email.booking and _matters(email.booking, now) else set()
    client = _client_of(email)
    if is_address and client is not None:
        about.update(queries.live_bookings_of_client(client, now))
    # In the order of their ids: two emails to one client may fail at once.
    ordered = sorted(about, key=lambda each: each.id)
    new = [each for each in ordered if _is_noted_first(each, "client_unreachable", now)]
    if not new:
        return
    # One email for ops, whatever the number of the client's bookings.
    first, *others = new
    facts = {"others": [each.reference for each in others]}
    outbox.enqueue_once("client_unreachable", Role.OPS, booking=first, facts=facts, now=now)
    for booking in new:
        if booking.status in LIVE:
            outbox.enqueue_once("client_unreachable", Role.THERAPIST, booking=booking, now=now)
        log.booking_event("client_unreachable", booking, warning=True, why=reason)


def _matters(booking: Booking, now: datetime) -> bool:
    if booking.status_at(now) in LIVE:
        return now < booking.ends_at
    return booking.status in _ENDED_WITHOUT_CLIENT and now < booking.starts_at


def _client_of(email: OutboxEmail) -> Client | None:
    """None for a visitor who is no client."""
    recipient = email.recipient
    if isinstance(recipient, PendingRequest):
        return queries.client_by_email(recipient.email)
    assert isinstance(recipient, Client)
    return recipient


def _therapist_missed(email: OutboxEmail, reason: str, now: datetime, *, is_address: bool) -> None:
    if not is_address and not asks_for_an_answer(email):
        return
    assert isinstance(email.recipient, Therapist)
    # Ops gets one email for each open enquiry, or for the account where none is open.
    therapist = queries.locked_therapist(email.recipient.id)
    enquiries = queries.enquiries_of(therapist, now)
    for enquiry in enquiries:
        if is_address or enquiry == email.booking:
            _alert_about_enquiry(enquiry, reason, now)
    if is_address and not enquiries:
        _alert_about_account(therapist, reason, now)


def _alert_about_enquiry(enquiry: Booking, reason: str, now: datetime) -> None:
    _log_unreachable(enquiry.therapist, reason, booking=enquiry.reference)
    if outbox.enqueue_once("account_alert", Role.OPS, booking=enquiry, facts=_FACTS, now=now):
        outbox.enqueue_once("therapist_unreachable", Role.CLIENT, booking=enquiry, now=now)
        _note(enquiry, "therapist_unreachable", now)


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


def _is_noted_first(booking: Booking, event: str, now: datetime) -> bool:
    """Note it on the timeline, where each event stands once."""
    try:
        with savepoint():
            _note(booking, event, now)
    except IntegrityError:
        return False
    return True


def _note(booking: Booking, event: str, now: datetime) -> None:
    transitions.add_timeline_entry(
        booking, event, by=Actor.SYSTEM, via=Via.SCHEDULER, at=now, facts={}
    )

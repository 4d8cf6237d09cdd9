"""Handling the messages that wait: each has its effect once, in one transaction."""

from collections.abc import Callable
from datetime import datetime

import structlog

from app import config
from app.errors import StoreUnavailable
from app.mail_addresses import AddressKind
from app.mail_reading import message as reading
from app.mail_reading.facts import InboundFacts
from app.services.inbound import bounces, replies
from app.services.inbound.booking_of import About, about_of
from app.services.jobs.result import JobResult, PartialResults
from app.services.mail import backoff
from app.store import queries
from app.store.db import errors
from app.store.db.database import in_transaction, on_commit
from app.store.models import InboundMessage, InboundStatus
from app.store.queries import inbound as stored_messages

# Tries of a message that a fault of ours keeps from being handled.
MOST_TRIES = 5

# Returns the outcome in a word.
Handler = Callable[[InboundMessage, InboundFacts, About | None, datetime], str]

_HANDLERS: dict[AddressKind, Handler] = {
    AddressKind.PERSON: replies.handle,
    AddressKind.REPLY: replies.handle,
    AddressKind.BOUNCE: bounces.handle,
    AddressKind.COMPLAINTS: bounces.handle_complaint,
}

_FROM_PEOPLE = (AddressKind.PERSON, AddressKind.REPLY)

_log = structlog.get_logger("mindsum")


def process_inbound(now: datetime) -> PartialResults:
    """Handle what waits, in the order in which it came."""
    last = 0
    while (waiting := stored_messages.next_waiting(now, last)) is not None:
        last = waiting.id
        yield _handle(waiting, now)


def _handle(waiting: InboundMessage, now: datetime) -> JobResult:
    try:
        # Outside of the transaction: a large message takes a moment to read.
        facts = _facts_of(waiting)
        done = _act(waiting, facts, now)
    except Exception as error:
        if isinstance(error, StoreUnavailable) or errors.is_environmental(error):
            raise
        _log.exception("inbound_failed", message=waiting.id)
        _put_off(waiting.id, now)
        return JobResult(1, 0, 1, waiting.received_at)
    return JobResult(1, int(done), 0, waiting.received_at)


def _facts_of(waiting: InboundMessage) -> InboundFacts:
    content = waiting.content or ""
    return reading.read(
        content.encode("latin-1"),
        config.current().inbound_authserv,
        may_be_report=waiting.kind not in _FROM_PEOPLE,
    )


@in_transaction
def _act(waiting: InboundMessage, facts: InboundFacts, now: datetime) -> bool:
    """False if another process was quicker."""
    # Every use case locks the therapist first, this row after it.
    about = about_of(waiting, facts) if waiting.kind in _FROM_PEOPLE else None
    therapist_id = _therapist_concerned(waiting, about)
    if therapist_id is not None:
        queries.locked_therapist(therapist_id)
    message = stored_messages.lock_waiting(waiting.id)
    if message is None:
        return False
    outcome = _HANDLERS[message.kind](message, facts, about, now)
    _end(message, InboundStatus.HANDLED, outcome, now)
    kind = str(message.kind)
    reference = message.booking.reference if message.booking else None
    on_commit(lambda: _log.info("inbound", kind=kind, outcome=outcome, booking=reference))
    return True


def _therapist_concerned(waiting: InboundMessage, about: About | None) -> int | None:
    if about is not None:
        return about.booking.therapist_id
    email = waiting.email
    return (email.booking or email).therapist_id if email else waiting.therapist_id


@in_transaction
def _put_off(message_id: int, now: datetime) -> None:
    message = stored_messages.lock_waiting(message_id)
    if message is None:
        return
    message.attempts += 1
    wait = backoff.retry_wait(message.attempts, config.current().outbox_retry_seconds)
    message.due_at = now + wait
    if message.attempts < MOST_TRIES:
        message.save()
        return
    _end(message, InboundStatus.FAILED, "fault", now)
    on_commit(lambda: _log.error("inbound_given_up", message=message_id))


def _end(message: InboundMessage, status: InboundStatus, outcome: str, now: datetime) -> None:
    message.status, message.outcome, message.handled_at = status, outcome, now
    # What people wrote is kept where it belongs, and nowhere else.
    message.content = None  # type: ignore[assignment] # the field does not tell that it is nullable
    message.save()

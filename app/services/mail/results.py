"""Recording how each try at an email ended: its row, the attempt, what follows, a log line."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app import config
from app.mailer import MailBlocked, MailDeferred, MailRefused, MailUnwelcome
from app.mailer.replies import AddressFault
from app.services.mail import backoff, pauses, undelivered
from app.services.therapists import ranking
from app.store import attempts, outbox, queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import Booking, OutboxEmail, OutboxStatus, Outcome
from app.store.outbox import Claim
from emails.safety import UnsafeValue

_EVENTS = {
    OutboxStatus.SENT: "email_sent",
    OutboxStatus.SKIPPED: "email_skipped",
    OutboxStatus.FAILED: "email_failed",
    OutboxStatus.QUEUED: "email_deferred",
    OutboxStatus.SENDING: "email_lease_lost",
}

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Result:
    """How a try at an email ended."""

    # The email's new status.
    status: OutboxStatus
    outcome: Outcome
    # One line that is safe to log.
    reason: str | None = None
    # The mail server's reply code.
    code: int | None = None
    # When to try a queued email again; None: after the usual backoff.
    retry_at: datetime | None = None
    # What it says of the recipient's address, if the email fails.
    address: AddressFault | None = None
    # Whether the recipient's domain refuses us, or finds that we send too much.
    pauses_domain: bool = False

    @property
    def is_good(self) -> bool:
        return self.status in (OutboxStatus.SENT, OutboxStatus.SKIPPED)

    @property
    def counts_as_attempt(self) -> bool:
        # The others say nothing about this email.
        return self.outcome not in (Outcome.BLOCKED, Outcome.UNWELCOME, Outcome.LOST)


SENT = Result(OutboxStatus.SENT, Outcome.SENT)
# The row stays as it is: another worker has the email, or it has ended.
LOST = Result(OutboxStatus.SENDING, Outcome.LOST)


# Puts an email behind those that are due when the pause ends.
BEHIND = timedelta(milliseconds=1)


def result_of(error: Exception) -> Result:
    code, queued, failed = getattr(error, "code", None), OutboxStatus.QUEUED, OutboxStatus.FAILED
    match error:
        case MailBlocked():
            return Result(queued, Outcome.BLOCKED, str(error), code)
        case MailUnwelcome():
            return Result(queued, Outcome.UNWELCOME, str(error), code, pauses_domain=True)
        case MailDeferred():
            # Put off for 24 hours by its recipient, it has not arrived there.
            missed = AddressFault.MISSED if error.stage == "recipient" and code else None
            pauses_domain = error.pauses_domain
            return Result(queued, Outcome.DEFERRED, str(error), code, None, missed, pauses_domain)
        case MailRefused():
            is_address = error.scope == "recipient"
            outcome = Outcome.REFUSED_ADDRESS if is_address else Outcome.REFUSED_CONTENT
            return Result(failed, outcome, str(error), code, address=error.address)
        case UnsafeValue():
            return Result(failed, Outcome.FAULT, str(error))
    # A bug of ours may be fixed within the 24 hours.
    return Result(OutboxStatus.QUEUED, Outcome.FAULT, type(error).__name__)


@in_transaction
def record(claim: Claim, result: Result, now: datetime) -> Result:
    """The result that was written: a failure after 24 hours of tries, LOST if the claim is."""
    email = claim.email
    about = email.booking or email
    if about.therapist_id is not None:
        # The therapist first, then the email, as in every other transaction: else they deadlock.
        queries.locked_therapist(about.therapist_id)
    result = _with_limits(email, _with_pause(claim, result, now), now)
    is_ours = result is not LOST and outbox.end_claim(
        claim,
        result.status,
        now=now,
        error=result.reason,
        retry_at=result.retry_at,
        counts_as_attempt=result.counts_as_attempt,
    )
    if not is_ours:
        result = LOST
    # Nothing here deletes emails, but ops may have, by hand, during the try.
    if is_ours or OutboxEmail.select().where(OutboxEmail.id == email.id).exists():
        attempts.add(email, result.outcome, now, result.reason, code=result.code)
    _act_on(email, result, now)
    # The pause that a blocked email causes has a log line of its own.
    if result.outcome is not Outcome.BLOCKED:
        _log_result(email, result)
    return result


def _with_pause(claim: Claim, result: Result, now: datetime) -> Result:
    if not result.pauses_domain:
        pauses.answered(claim, result.outcome, now)
        return result
    until = pauses.refuse(claim, result.reason or "", now)
    if result.outcome is Outcome.UNWELCOME:
        # Behind the rest, in case this message is what the domain objects to.
        return replace(result, retry_at=until + BEHIND)
    return result


def _with_limits(email: OutboxEmail, result: Result, now: datetime) -> Result:
    if result.status is not OutboxStatus.QUEUED:
        return result
    is_over = now - (email.first_tried_at or now) >= backoff.GIVE_UP_AFTER
    if is_over and result.counts_as_attempt:
        reason = f"given up after 24 h: {result.reason}"
        outcome = Outcome.FAULT if result.outcome is Outcome.FAULT else Outcome.GIVEN_UP
        return replace(result, status=OutboxStatus.FAILED, outcome=outcome, reason=reason)
    wait = backoff.retry_wait(email.attempts, config.current().outbox_retry_seconds)
    return replace(result, retry_at=result.retry_at or now + wait)


def _act_on(email: OutboxEmail, result: Result, now: datetime) -> None:
    if result.status is OutboxStatus.SENT:
        undelivered.end(email)
        if undelivered.asks_for_an_answer(email):
            _record_hand_over(email, now)
    is_refused_for_long = (
        result.outcome is Outcome.UNWELCOME and now - email.created_at >= backoff.GIVE_UP_AFTER
    )
    if result.status is OutboxStatus.FAILED or is_refused_for_long:
        reason = result.reason or "no reason given"
        undelivered.follow_up(email, reason, now, fault=result.address)


def _record_hand_over(email: OutboxEmail, now: datetime) -> None:
    # The therapist's delay counts from now on.
    booking = email.booking
    assert booking is not None
    Booking.update(handed_over_at=now).where(
        Booking.id == booking.id, Booking.handed_over_at.is_null()
    ).execute()
    ranking.schedule_refresh(booking.therapist_id, now)


def _log_result(email: OutboxEmail, result: Result) -> None:
    therapist = (email.booking or email).therapist
    facts = {
        "email": email.id,
        "kind": email.kind,
        "to": str(email.role),
        "booking": email.booking.reference if email.booking else None,
        "therapist": therapist.slug if therapist else None,
        "attempt": email.attempts,
        "why": result.reason,
        "again_at": result.retry_at.isoformat(timespec="seconds") if result.retry_at else None,
    }
    write = _log.info if result.is_good else _log.warning
    on_commit(lambda: write(_EVENTS[result.status], **facts))

"""Recording how each try at an email ended: its row, the attempt, what follows, a log line."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from app import config
from app.mailer import MailBlocked, MailDeferred, MailRefused
from app.services.mail import backoff, undelivered
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

    @property
    def is_good(self) -> bool:
        return self.status in (OutboxStatus.SENT, OutboxStatus.SKIPPED)

    @property
    def counts_as_attempt(self) -> bool:
        # The others say nothing about this email.
        return self.outcome not in (Outcome.BLOCKED, Outcome.LOST)


SENT = Result(OutboxStatus.SENT, Outcome.SENT)
# The row stays as it is: another worker has the email, or it has ended.
LOST = Result(OutboxStatus.SENDING, Outcome.LOST)


def result_of(error: Exception) -> Result:
    code = getattr(error, "code", None)
    match error:
        case MailBlocked():
            return Result(OutboxStatus.QUEUED, Outcome.BLOCKED, str(error), code)
        case MailDeferred():
            return Result(OutboxStatus.QUEUED, Outcome.DEFERRED, str(error), code)
        case MailRefused(scope="recipient"):
            return Result(OutboxStatus.FAILED, Outcome.REFUSED_ADDRESS, str(error), code)
        case MailRefused():
            return Result(OutboxStatus.FAILED, Outcome.REFUSED_CONTENT, str(error), code)
        case UnsafeValue():
            return Result(OutboxStatus.FAILED, Outcome.FAULT, str(error))
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
    result = _with_limits(email, result, now)
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
    if result.status is OutboxStatus.SENT and email.kind == "booking_requested":
        _record_hand_over(email, now)
    if result.status is OutboxStatus.FAILED:
        is_refused = result.outcome is Outcome.REFUSED_ADDRESS
        reason = result.reason or "no reason given"
        undelivered.follow_up(email, reason, now, is_address_refused=is_refused)


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

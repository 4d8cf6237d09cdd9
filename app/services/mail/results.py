"""Recording how each try at an email ended: its row, the attempt, what follows, a log line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from peewee import SQL, fn

from app import config
from app.mailer import MailBlocked, MailDeferred, MailRefused, MailUnwelcome
from app.mailer.replies import AddressFault
from app.services.mail import backoff, pauses, undelivered
from app.store import attempts, claiming, queries, suppressions
from app.store.claiming import Claim
from app.store.db.database import in_transaction, on_commit
from app.store.db.statements import Statement
from app.store.models import Booking, OutboxEmail, OutboxStatus, Outcome, Therapist
from app.store.queries.locking import locking
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


@dataclass(frozen=True, slots=True)
class Ended:
    """How the try of a claimed email ended, and when."""

    claim: Claim
    result: Result
    at: datetime


def record(ended: Sequence[Ended]) -> list[Result]:
    """The results that were written: a failure after 24 hours of tries, LOST if the claim is."""
    requests = [
        each
        for each in ended
        if each.result is SENT and undelivered.asks_for_an_answer(each.claim.email)
    ]
    if requests:
        _record_hand_over(requests)
    return _record(ended)


@in_transaction
def _record(ended: Sequence[Ended]) -> list[Result]:
    # The therapists first, then the emails, as in every other transaction: else they deadlock.
    # Only where something follows for them: sending must not wait for the moves of their bookings.
    emails = [each.claim.email for each in ended if each.result is not SENT]
    about = [each.booking or each for each in emails]
    queries.lock_therapists({each.therapist_id for each in about if each.therapist_id is not None})
    sent = [each for each in ended if each.result is SENT]
    ours = _record_sent(sent) if sent else set()
    return [
        each.result
        if each.result is SENT and each.claim.email.id in ours
        else _record_one(each.claim, each.result, each.at)
        for each in ended
    ]


def _record_sent(sent: Sequence[Ended]) -> set[int]:
    """Record what the mail server took; the ids of those whose claims were still valid."""
    at = sent[-1].at
    ours = claiming.end_sent([each.claim for each in sent], at)
    attempts.add_sent(sorted(ours), at)
    emails = [each.claim.email for each in sent if each.claim.email.id in ours]
    for each in sent:
        if each.claim.email.id in ours:
            pauses.answered(each.claim, Outcome.SENT, at)
    unreached = suppressions.of_emails(emails)
    for email in emails:
        if email.id in unreached:
            undelivered.end(email)
        _log_result(email, SENT)
    return ours


def _record_one(claim: Claim, result: Result, now: datetime) -> Result:
    email = claim.email
    result = _with_limits(email, _with_pause(claim, result, now), now)
    is_ours = result not in (SENT, LOST) and claiming.end_claim(
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
    _follow_up(email, result, now)
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


def _follow_up(email: OutboxEmail, result: Result, now: datetime) -> None:
    is_refused_for_long = (
        result.outcome is Outcome.UNWELCOME and now - email.created_at >= backoff.GIVE_UP_AFTER
    )
    if result.status is OutboxStatus.FAILED or is_refused_for_long:
        reason = result.reason or "no reason given"
        undelivered.follow_up(email, reason, now, fault=result.address)


_SET_HANDED_OVER = Statement[Any](
    lambda now, ids, email_ids: Booking.update(handed_over_at=now).where(
        Booking.id.in_(ids),
        Booking.handed_over_at.is_null(),
        # Not by an email from before the therapist was asked again.
        fn.EXISTS(
            OutboxEmail.select(SQL("1")).where(
                OutboxEmail.id.in_(email_ids),
                OutboxEmail.booking == Booking.id,
                Booking.asked_at.is_null() | (OutboxEmail.created_at >= Booking.asked_at),
            )
        ),
    )
)
_SET_RANKING_DUE = Statement[Any](
    lambda now, ids: Therapist.update(ranking_due_at=now).where(
        # Locked by ascending id: two such updates could deadlock otherwise.
        Therapist.id.in_(
            locking(
                Therapist.select(Therapist.id).where(Therapist.id.in_(ids)).order_by(Therapist.id)
            )
        )
    )
)


# The therapists' delays count from then. A transaction of its own, so that a therapist's row is
# locked for these two statements only, and not while the batch is recorded. If the process is
# killed after it, the emails are sent again, and the first hand-over still counts.
@in_transaction
def _record_hand_over(requests: Sequence[Ended]) -> None:
    emails = [each.claim.email for each in requests]
    bookings = [booking for each in emails if (booking := each.booking)]
    at = Booking.handed_over_at.db_value(requests[-1].at)
    _SET_RANKING_DUE.run(at, sorted({each.therapist_id for each in bookings}))
    _SET_HANDED_OVER.run(at, sorted({each.id for each in bookings}), [each.id for each in emails])


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

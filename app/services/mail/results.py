"""Writing down how each try at an email ended: its row, the attempt, what follows, a log line."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app import config
from app.mailer import MailBlocked, MailDeferred, MailRefused, MailWithheld
from app.services.mail import undelivered
from app.services.therapists import ranking
from app.store import attempts, outbox, queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import Booking, OutboxEmail, OutboxStatus, Outcome
from app.store.outbox import Claim
from emails.safety import UnsafeValue

GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_WAIT = timedelta(hours=1)
JITTER = 0.2

_EVENTS = {
    OutboxStatus.SENT: "email_sent",
    OutboxStatus.SKIPPED: "email_skipped",
    OutboxStatus.FAILED: "email_failed",
    OutboxStatus.QUEUED: "email_deferred",
    OutboxStatus.SENDING: "email_lease_lost",
}

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class End:
    """How a try ended: where that leaves the email, and why; `code` is the server's reply code.

    An email that is queued again waits until `again_at`, or by the usual backoff if that is None.
    """

    status: OutboxStatus
    outcome: Outcome
    said: str | None = None
    code: int | None = None
    again_at: datetime | None = None

    @property
    def is_good(self) -> bool:
        """Whether the email needs nothing more."""
        return self.status in (OutboxStatus.SENT, OutboxStatus.SKIPPED)

    @property
    def burns_attempt(self) -> bool:
        """Whether it counts against the email: what it was never refused itself does not."""
        return self.outcome not in (Outcome.BLOCKED, Outcome.LOST)


SENT = End(OutboxStatus.SENT, Outcome.SENT)
LOST = End(OutboxStatus.SENDING, Outcome.LOST)


def end_of(error: Exception) -> End:
    """What an error while composing or handing over makes of the email."""
    code = getattr(error, "code", None)
    match error:
        case MailWithheld():
            return End(OutboxStatus.QUEUED, Outcome.LOST, str(error))
        case MailBlocked():
            return End(OutboxStatus.QUEUED, Outcome.BLOCKED, str(error), code)
        case MailDeferred():
            return End(OutboxStatus.QUEUED, Outcome.DEFERRED, str(error), code)
        case MailRefused():
            refused = (
                Outcome.REFUSED_ADDRESS if error.scope == "recipient" else Outcome.REFUSED_CONTENT
            )
            return End(OutboxStatus.FAILED, refused, str(error), code)
        case UnsafeValue():
            return End(OutboxStatus.FAILED, Outcome.FAULT, str(error))
    # A fault of ours must not lose the email: it may be mended.
    return End(OutboxStatus.QUEUED, Outcome.FAULT, type(error).__name__)


@in_transaction
def settle(claimed: Claim, end: End, now: datetime) -> End:
    """Write down how a try ended, with all that follows; how it ended after all.

    It is given up where it has been tried for long enough, and lost where another worker has the
    email by now: then nothing about it is changed.
    """
    email = claimed.email
    about = email.booking or email
    if about.therapist_id is not None:
        # Before the email's own row, as every move does: two orders would make a deadlock.
        queries.locked_therapist(about.therapist_id)
    end = _given_up(email, end, now)
    is_queued = end.status is OutboxStatus.QUEUED
    retry_at = (end.again_at or now + _wait(email)) if is_queued else None
    is_ours = end is not LOST and outbox.settle(
        claimed,
        end.status,
        now=now,
        error=end.said,
        retry_at=retry_at,
        burns_attempt=end.burns_attempt,
    )
    if not is_ours:
        end, retry_at = LOST, None
    if OutboxEmail.select().where(OutboxEmail.id == email.id).exists():
        attempts.note(email, end.outcome, now, end.said, code=end.code)
    _follow(email, end, now)
    # Of a paused queue one line has already told.
    if end.outcome is not Outcome.BLOCKED:
        _tell(email, end, retry_at)
    return end


def _given_up(email: OutboxEmail, end: End, now: datetime) -> End:
    if end.status is not OutboxStatus.QUEUED or not end.burns_attempt:
        return end
    if now - (email.first_tried_at or now) < GIVE_UP_AFTER:
        return end
    said = f"given up after 24 h: {end.said}"
    outcome = Outcome.FAULT if end.outcome is Outcome.FAULT else Outcome.GIVEN_UP
    return replace(end, status=OutboxStatus.FAILED, outcome=outcome, said=said)


def _wait(email: OutboxEmail) -> timedelta:
    return retry_wait(email.attempts, config.current().outbox_retry_seconds)


def retry_wait(attempts: int, first_wait_s: float) -> timedelta:
    """How long to wait after that many attempts: doubling, jittered by a fifth, an hour at most."""
    doubled = first_wait_s * 2 ** min(max(attempts - 1, 0), 20)
    bounded = min(doubled, max(LONGEST_WAIT.total_seconds(), first_wait_s))
    return timedelta(seconds=bounded * random.uniform(1 - JITTER, 1 + JITTER))


def _follow(email: OutboxEmail, end: End, now: datetime) -> None:
    if end.status is OutboxStatus.SENT and email.kind == "booking_requested":
        _note_hand_over(email, now)
    if end.status is OutboxStatus.FAILED:
        is_refused = end.outcome is Outcome.REFUSED_ADDRESS
        why = end.said or "no reason given"
        undelivered.follow_up(email, why, now, is_address_refused=is_refused)


def _note_hand_over(email: OutboxEmail, now: datetime) -> None:
    """From now on the therapist knows: their delay counts from here."""
    booking = email.booking
    assert booking is not None
    Booking.update(handed_over_at=now).where(
        Booking.id == booking.id, Booking.handed_over_at.is_null()
    ).execute()
    ranking.touch(booking.therapist_id, now)


def _tell(email: OutboxEmail, end: End, retry_at: datetime | None) -> None:
    therapist = (email.booking or email).therapist
    facts = {
        "email": email.id,
        "kind": email.kind,
        "to": str(email.role),
        "booking": email.booking.reference if email.booking else None,
        "therapist": therapist.slug if therapist else None,
        "attempt": email.attempts,
        "why": end.said,
        "again_at": retry_at.isoformat(timespec="seconds") if retry_at else None,
    }
    write = _log.info if end.is_good else _log.warning
    on_commit(lambda: write(_EVENTS[end.status], **facts))

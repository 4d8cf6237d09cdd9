"""Sending what is due in the outbox: claim, letter, send, settle; no transaction spans SMTP."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from app import config
from app.errors import StoreUnavailable
from app.mailer import Connection, MailBlocked, MailDeferred, Mailer, MailError, MailRefused
from app.services import letters, ranking, staleness, undelivered
from app.services.runs import Run
from app.store import outbox, queries, suppressions
from app.store.database import in_transaction
from app.store.models import Booking, OutboxEmail, OutboxStatus
from app.store.outbox import Claim
from emails.safety import UnsafeValue

BATCH = 50
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_WAIT = timedelta(hours=1)
HOLD_TOLD_EVERY = timedelta(minutes=1)

_GOOD_ENDS = frozenset({OutboxStatus.SENT, OutboxStatus.SKIPPED})

_log = structlog.get_logger("mindsum")


class Courier:
    """Delivers for one process; pauses when the mail server would turn every email away."""

    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        self._clock = clock
        self._paused_until: datetime | None = None
        self._hold_told_at: datetime | None = None

    def deliver(self) -> Run:
        """Send everything that is due, unless the queue is paused or held."""
        now = self._clock()
        if (held_since := outbox.held_since()) is not None:
            self._tell_hold(held_since, now)
            return Run()
        oldest_at = outbox.oldest_due_at(now)
        if oldest_at is None or (self._paused_until and now < self._paused_until):
            return Run()
        self._paused_until = None
        due = done = failed = 0
        with self._mailer.connect() as connection:
            while not self._paused_until and (claims := outbox.claim(self._clock(), BATCH)):
                for claimed in claims:
                    due += 1
                    status = self._attempt(claimed, connection)
                    done += status in _GOOD_ENDS
                    failed += status is OutboxStatus.FAILED
        return Run(due, done, failed, oldest_at)

    def _attempt(self, claimed: Claim, connection: Connection) -> OutboxStatus:
        try:
            return self._send(claimed, connection)
        except StoreUnavailable:
            # It is due again when its lease runs out; the others need not wait for it.
            _log.exception("email_unsettled", email=claimed.email.id, kind=claimed.email.kind)
            return OutboxStatus.SENDING

    def _send(self, claimed: Claim, connection: Connection) -> OutboxStatus:
        now = self._clock()
        if self._paused_until:
            return _later(claimed, now, "the queue is paused", burns_attempt=False)
        if not outbox.renew(claimed, now):
            return _lost(claimed)
        foregone = _foregone(claimed.email, now)
        if foregone is not None:
            status, why = foregone
            return _settle(claimed, status, now, why)
        try:
            message = letters.compose(claimed.email, now)
            connection.deliver(message.to_email(), message.recipient.addr_spec)
        except (MailError, UnsafeValue) as error:
            return self._not_taken(claimed, error)
        except Exception as error:
            # A fault of ours must not hold up the others, nor lose this one: it may be mended.
            _log.exception("email_fault", email=claimed.email.id, kind=claimed.email.kind)
            return _later(claimed, self._clock(), type(error).__name__)
        return _settle(claimed, OutboxStatus.SENT, self._clock())

    def _not_taken(self, claimed: Claim, error: MailError | UnsafeValue) -> OutboxStatus:
        now, why = self._clock(), str(error)
        if isinstance(error, MailBlocked):
            self._pause(why)
            return _later(claimed, now, why, burns_attempt=False)
        if isinstance(error, MailDeferred):
            if error.is_about_server:
                self._pause(why)
            return _later(claimed, now, why)
        is_refused = isinstance(error, MailRefused) and error.scope == "recipient"
        return _settle(claimed, OutboxStatus.FAILED, now, why, is_address_refused=is_refused)

    def _tell_hold(self, since: datetime, now: datetime) -> None:
        if self._hold_told_at is None or abs(now - self._hold_told_at) >= HOLD_TOLD_EVERY:
            self._hold_told_at = now
            waiting = outbox.due_count(now)
            _log.warning("outbox_held", since=since.isoformat(), waiting=waiting)

    def _pause(self, why: str) -> None:
        wait = retry_wait(1, config.current().outbox_retry_seconds)
        self._paused_until = self._clock() + wait
        _log.error("outbox_paused", why=why, for_s=round(wait.total_seconds(), 1))


def _foregone(email: OutboxEmail, now: datetime) -> tuple[OutboxStatus, str] | None:
    """How an email ends that no server is asked about, and why; None if it should be sent."""
    stale = staleness.why_stale(email, now)
    if stale:
        return OutboxStatus.SKIPPED, stale
    suppressed = suppressions.reason_for(email)
    if suppressed:
        return OutboxStatus.FAILED, f"the address is suppressed: {suppressed}"
    return None


def _later(
    claimed: Claim, now: datetime, error: str, *, burns_attempt: bool = True
) -> OutboxStatus:
    email = claimed.email
    first_tried_at = email.first_tried_at or now
    if burns_attempt and now - first_tried_at >= GIVE_UP_AFTER:
        return _settle(claimed, OutboxStatus.FAILED, now, f"given up after 24 h: {error}")
    wait = retry_wait(email.attempts, config.current().outbox_retry_seconds)
    return _settle(
        claimed, OutboxStatus.QUEUED, now, error, retry_at=now + wait, burns_attempt=burns_attempt
    )


def retry_wait(attempts: int, first_wait_s: float) -> timedelta:
    """How long to wait after that many attempts: doubling, jittered by a fifth, an hour at most."""
    doubled = first_wait_s * 2 ** min(max(attempts - 1, 0), 20)
    bounded = min(doubled, max(LONGEST_WAIT.total_seconds(), first_wait_s))
    return timedelta(seconds=bounded * random.uniform(0.8, 1.2))


def _lost(claimed: Claim) -> OutboxStatus:
    _log.warning("email_lease_lost", email=claimed.email.id, kind=claimed.email.kind)
    return OutboxStatus.SENDING


@in_transaction
def _settle(
    claimed: Claim,
    status: OutboxStatus,
    now: datetime,
    error: str | None = None,
    *,
    retry_at: datetime | None = None,
    burns_attempt: bool = True,
    is_address_refused: bool = False,
) -> OutboxStatus:
    email = claimed.email
    about = email.booking or email
    if about.therapist_id is not None:
        # Before the email's own row, as every move does: two orders would make a deadlock.
        queries.locked_therapist(about.therapist_id)
    settled = outbox.settle(
        claimed, status, now=now, error=error, retry_at=retry_at, burns_attempt=burns_attempt
    )
    if not settled:
        return _lost(claimed)
    if status is OutboxStatus.SENT and email.kind == "booking_requested":
        _note_hand_over(email, now)
    if status is OutboxStatus.FAILED:
        why = error or "no reason given"
        undelivered.follow_up(email, why, now, is_address_refused=is_address_refused)
    # Of a paused queue one line has already told.
    if burns_attempt:
        _tell(email, status, error)
    return status


def _note_hand_over(email: OutboxEmail, now: datetime) -> None:
    """From now on the therapist knows: their delay counts from here."""
    booking = email.booking
    assert booking is not None
    Booking.update(handed_over_at=now).where(
        Booking.id == booking.id, Booking.handed_over_at.is_null()
    ).execute()
    ranking.touch(booking.therapist_id, now)


def _tell(email: OutboxEmail, status: OutboxStatus, error: str | None) -> None:
    therapist = (email.booking or email).therapist
    (_log.info if status in _GOOD_ENDS else _log.warning)(
        f"email_{status}",
        email=email.id,
        kind=email.kind,
        to=str(email.role),
        booking=email.booking.reference if email.booking else None,
        therapist=therapist.slug if therapist else None,
        attempt=email.attempts,
        why=error,
    )

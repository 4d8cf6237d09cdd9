"""Sending what is due in the outbox: claim, letter, send, settle; no transaction spans SMTP."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app.errors import StoreUnavailable
from app.mailer import Connection, MailDeferred, Mailer, MailError, MailWithheld
from app.services.jobs.result import JobResult, PartialResults
from app.services.mail import expiry, letters, results
from app.services.mail.results import End
from app.services.mail.throttle import SendThrottle
from app.store import attempts, outbox, suppressions
from app.store.db import errors
from app.store.models import OutboxEmail, OutboxStatus, Outcome
from app.store.outbox import Claim
from emails.safety import UnsafeValue

BATCH = 10
# The server's answer to a whole message may take three of the lease's twenty timeouts.
LEASE_FOR_CONVERSATION = 0.8
STORE_AGAIN_S = 0.5
BEHIND = timedelta(milliseconds=1)

_log = structlog.get_logger("mindsum")


class _NotNowError(Exception):
    """This lane should go no further: what it has claimed is given back as it was."""


class OutboxSender:
    """Delivers for one process.

    Once `is_late`, no end of a message is sent any more: nobody would be there for the answer.
    """

    def __init__(
        self,
        mailer: Mailer,
        clock: Callable[[], datetime],
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        self._mailer = mailer
        self._clock = clock
        self._is_late = is_late
        self._throttle = SendThrottle(clock)
        self._guard = threading.Lock()
        self._in_hand: dict[int, Claim] = {}
        self._taken: set[tuple[int, datetime]] = set()

    @property
    def patience_s(self) -> float:
        """How long one email may take, in seconds, where the mail server is slow."""
        return outbox.lease().total_seconds()

    def deliver(self) -> PartialResults:
        """Send everything that is due, unless the queue is paused or held; a part per email.

        Several threads may do so at once. Emails that were claimed and not tried are given back
        when the queue is paused or held, the server is full of us, or the parts are closed.
        """
        if self._throttle.is_held():
            return
        oldest_at = outbox.oldest_due_at(self._clock())
        if oldest_at is None or self._throttle.is_paused():
            return
        connection = self._mailer.connect()
        # It says goodbye before it leaves the lane: until then the server counts it too.
        with self._throttle.lane(connection) as has_room, connection:
            while has_room and not self._throttle.paused_until:
                if not (taken := outbox.claim(self._clock(), BATCH)):
                    return
                claims = deque(taken)
                for run in self._each(claims, connection):
                    yield replace(run, oldest_at=oldest_at)
                yield JobResult(len(claims))
                if claims:
                    return

    def _each(self, claims: deque[Claim], connection: Connection) -> Iterator[JobResult]:
        try:
            while claims and not self._throttle.paused_until:
                claimed = claims.popleft()
                try:
                    run = _run_of(self._send(claimed, connection))
                except _NotNowError:
                    claims.appendleft(claimed)
                    return
                except (StoreUnavailable, *errors.DATABASE_ERRORS) as error:
                    if not (isinstance(error, StoreUnavailable) or errors.is_environmental(error)):
                        raise
                    # It stays ours as long as its lease lasts, and the others come first.
                    claims.append(claimed)
                    _log.error("email_waits", email=claimed.email.id, why=errors.reason(error))
                    time.sleep(STORE_AGAIN_S)
                    run = JobResult()
                yield run
        finally:
            if claims:
                outbox.give_back(claims, self._clock(), not_before=self._throttle.paused_until)

    def _send(self, claimed: Claim, connection: Connection) -> End:
        now = self._clock()
        may_finish = self._lease_of(claimed, now)
        if _identity(claimed.email) not in self._taken and outbox.held_since():
            raise _NotNowError
        if not outbox.renew(claimed, now):
            return results.settle(claimed, results.LOST, now)
        if not self._begin(claimed):
            return results.LOST
        try:
            if _identity(claimed.email) in self._taken:
                return self._note_taken(claimed)
            return self._hand_over(claimed, connection, may_finish, now)
        finally:
            with self._guard:
                del self._in_hand[claimed.email.id]

    def _begin(self, claimed: Claim) -> bool:
        """Take an email in hand; False if another thread waits for the server's answer to it.

        A leap of the clock has ended that one's lease then, and it goes on by this claim.
        """
        with self._guard:
            is_free = claimed.email.id not in self._in_hand
            self._in_hand[claimed.email.id] = claimed
        return is_free

    def _hand_over(
        self,
        claimed: Claim,
        connection: Connection,
        may_finish: Callable[[], bool],
        now: datetime,
    ) -> End:
        email = claimed.email
        try:
            if foregone := _foregone(email, now):
                return self._settle(email, foregone)
            message = letters.compose(email, now)
            connection.deliver(message.to_email(), message.recipient.addr_spec, may_finish)
        except (MailError, UnsafeValue) as error:
            return self._settle(email, self._end_of(error, claimed, connection))
        except (StoreUnavailable, *errors.DATABASE_ERRORS):
            raise
        except Exception as error:
            _log.exception("email_fault", email=email.id, kind=email.kind)
            return self._settle(email, results.end_of(error))
        return self._note_taken(claimed)

    def _settle(self, email: OutboxEmail, end: End) -> End:
        return results.settle(self._in_hand[email.id], end, self._clock())

    def _end_of(
        self, error: MailError | UnsafeValue, claimed: Claim, connection: Connection
    ) -> End:
        end = results.end_of(error)
        if isinstance(error, MailWithheld) and (self._is_late() or outbox.held_since()):
            return replace(end, again_at=claimed.due_at)
        if not (isinstance(error, MailError) and error.is_about_server):
            return end
        if isinstance(error, MailDeferred) and self._throttle.step_back(connection, error):
            raise _NotNowError
        if error.came_with_a_message and attempts.has_sent_since_last(claimed.email):
            # It took others in the meantime: what it does not take is this one.
            return replace(end, outcome=Outcome.DEFERRED)
        paused_until = self._throttle.pause(str(error))
        if end.burns_attempt:
            return end
        # Behind the others: should it be about this one after all, they leave first.
        return replace(end, again_at=paused_until + BEHIND)

    def _note_taken(self, claimed: Claim) -> End:
        """Note what the server has taken, however long the database is away: nobody else knows."""
        email, until_s = claimed.email, time.monotonic() + outbox.lease().total_seconds()
        self._taken.add(_identity(email))
        self._throttle.note_taken()
        while True:
            try:
                end = self._settle(email, results.SENT)
            except Exception as error:
                if not isinstance(error, StoreUnavailable) and time.monotonic() > until_s:
                    raise
                _log.error("email_unsettled", email=email.id, why=errors.reason(error))
                time.sleep(STORE_AGAIN_S)
            else:
                if end.status is OutboxStatus.SENT:
                    self._taken.discard(_identity(email))
                return end

    def _lease_of(self, claimed: Claim, now: datetime) -> Callable[[], bool]:
        """Whether a lease renewed at `now`, and this process, last until a whole message's answer.

        By both clocks, since a process that was stopped sees it by the one and a leap of time by
        the other; and by the row, since another machine may go by a clock of its own.
        """
        enough = outbox.lease() * LEASE_FOR_CONVERSATION
        until_s, until_at = time.monotonic() + enough.total_seconds(), now + enough
        return lambda: (
            time.monotonic() < until_s
            and self._clock() < until_at
            and not self._is_late()
            and outbox.may_go(self._in_hand[claimed.email.id])
        )


def _identity(email: OutboxEmail) -> tuple[int, datetime]:
    """What no other email ever has: where an older database was restored, ids come again."""
    return email.id, email.created_at


def _run_of(end: End) -> JobResult:
    has_failed = end.status is OutboxStatus.FAILED
    return JobResult(
        1, end.is_good, has_failed, refused=has_failed and end.outcome is not Outcome.FAULT
    )


def _foregone(email: OutboxEmail, now: datetime) -> End | None:
    """How an email ends that no server is asked about; None if it should be sent."""
    if stale := expiry.why_stale(email, now):
        return End(OutboxStatus.SKIPPED, Outcome.SKIPPED, stale)
    if suppressed := suppressions.reason_for(email):
        why = f"the address is suppressed: {suppressed}"
        return End(OutboxStatus.FAILED, Outcome.SUPPRESSED, why)
    return None

"""Sending what is due in the outbox: claim, compose, hand over, record."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import structlog

from app.errors import StoreUnavailable
from app.mailer import (
    Connection,
    MailBlocked,
    MailDeferred,
    Mailer,
    MailError,
    MailUnwelcome,
    MailWithheld,
    Outgoing,
)
from app.services.inbound.addresses import envelope_sender
from app.services.jobs.result import JobResult, PartialResults
from app.services.mail import asked_answers, expiry, pauses, private_words, results
from app.services.mail.compose import compose
from app.services.mail.results import BEHIND, Result
from app.services.mail.throttle import SendThrottle
from app.store import attempts, outbox, suppressions
from app.store import pauses as stored_pauses
from app.store.db import errors
from app.store.models import OutboxEmail, OutboxStatus, Outcome
from app.store.outbox import Claim
from emails.safety import UnsafeValue

BATCH = 10
# The rest is for the server's reply to the whole message, which may take 3 of the 20 timeouts.
LEASE_UNTIL_END = 0.8
# Seconds between two tries while the database is down.
STORE_RETRY_S = 0.5

Identity = tuple[int, datetime]

_log = structlog.get_logger("mindsum")


class OutboxSender:
    """Sends the emails of one process, from any number of its threads at once."""

    def __init__(
        self,
        mailer: Mailer,
        clock: Callable[[], datetime],
        must_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._mailer = mailer
        self._clock = clock
        # Once it returns True no message is finished: the process ends before the reply.
        self._must_stop = must_stop
        self._throttle = SendThrottle(clock)
        # Emails that a thread is handing to the server.
        self._in_hand: set[Identity] = set()
        # Emails that the server has taken and whose rows do not say so yet.
        self._taken: set[Identity] = set()

    @property
    def patience_s(self) -> float:
        # One email at a slow mail server.
        return outbox.lease().total_seconds()

    def deliver(self) -> PartialResults:
        """One part per email. Untried claims are given back, also if the generator is closed."""
        asked_answers.answer_asked(self._clock())
        if self._throttle.is_held():
            return
        oldest_at = outbox.oldest_due_at(self._clock())
        if oldest_at is None:
            return
        connection = self._mailer.connect()
        # Closed before the slot is freed: until QUIT the server counts the connection.
        with self._throttle.slot(connection) as has_room, connection:
            while has_room and not self._throttle.paused_until:
                claims = deque(outbox.claim(self._clock(), BATCH))
                if not claims:
                    return
                for part in self._send_all(claims, connection):
                    yield replace(part, oldest_at=oldest_at)
                yield JobResult(len(claims))
                if claims:
                    return

    def _send_all(self, claims: deque[Claim], connection: Connection) -> Iterator[JobResult]:
        paused = list[Claim]()
        try:
            while claims and not self._throttle.paused_until:
                claim = claims.popleft()
                if not claim.probes and stored_pauses.covers(claim.email.domain):
                    paused.append(claim)
                    continue
                try:
                    result = self._send(claim, connection)
                except (StoreUnavailable, *errors.DATABASE_ERRORS) as error:
                    if not _is_store_down(error):
                        raise
                    # The lease goes on. Try the others first: the database may be back by then.
                    claims.append(claim)
                    _log.error("email_waits", email=claim.email.id, why=errors.reason(error))
                    time.sleep(STORE_RETRY_S)
                    yield JobResult()
                    continue
                if result is None:
                    claims.appendleft(claim)
                    return
                yield _job_result(result)
        finally:
            if claims or paused:
                left, until = [*claims, *paused], self._throttle.paused_until
                outbox.give_back(left, self._clock(), not_before=until)

    def _send(self, claim: Claim, connection: Connection) -> Result | None:
        """Send one claimed email; None if it was not tried and the connection must stop."""
        email, now = claim.email, self._clock()
        # Looked up before `_taken`, which has each email before it leaves `_in_hand`.
        is_in_hand = _identity(email) in self._in_hand
        # The server has taken it before, and only the record of that is missing.
        if _identity(email) in self._taken:
            return self._record_sent(claim)
        if is_in_hand:
            # The clock leapt over another thread's lease, and the server may have the message.
            return results.LOST
        if outbox.held_since():
            return None
        if not outbox.renew(claim, now):
            return results.record(claim, results.LOST, now)
        self._in_hand.add(_identity(email))
        try:
            result = self._try(claim, connection, now)
            if result is results.SENT:
                return self._record_sent(claim)
            return result and results.record(claim, result, self._clock())
        finally:
            self._in_hand.discard(_identity(email))

    def _try(self, claim: Claim, connection: Connection, now: datetime) -> Result | None:
        email = claim.email
        try:
            if unsendable := _why_unsendable(email, now):
                return unsendable
            message = compose(email, now)
            outgoing = Outgoing(
                message.recipient.addr_spec,
                self._mailer.sign(message.to_bytes()),
                message.needs_smtputf8,
                self._may_finish(claim, now),
                private_words.of_email(email),
                envelope_sender(email),
            )
            # No transaction is open here: the server may take minutes.
            for _, error in connection.deliver([outgoing]):
                if error:
                    raise error
        except MailWithheld:
            return None if self._must_stop() or outbox.held_since() else results.LOST
        except (MailError, UnsafeValue) as error:
            return self._result_of(error, email, connection)
        except (StoreUnavailable, *errors.DATABASE_ERRORS):
            raise
        except Exception as error:
            _log.exception("email_fault", email=email.id, kind=email.kind)
            return results.result_of(error)
        return results.SENT

    def _may_finish(self, claim: Claim, renewed_at: datetime) -> Callable[[], bool]:
        # The lease and the process must last until the reply to the whole message.
        until = renewed_at + outbox.lease() * LEASE_UNTIL_END
        return lambda: self._clock() < until and not self._must_stop() and outbox.may_send(claim)

    def _result_of(
        self, error: MailError | UnsafeValue, email: OutboxEmail, connection: Connection
    ) -> Result | None:
        """The result of an error; None if this connection leaves a crowded server to others."""
        result = results.result_of(error)
        if isinstance(error, MailUnwelcome) and attempts.has_sent_since_last(email, email.domain):
            # The domain takes other emails, so it must be this one that it objects to.
            return replace(result, outcome=Outcome.DEFERRED, pauses_domain=False)
        if not (isinstance(error, MailError) and error.is_about_server):
            return result
        if isinstance(error, MailDeferred) and self._throttle.step_back(connection, error):
            return None
        if error.came_with_a_message and attempts.has_sent_since_last(email):
            # The server takes other emails, so it must be this one that it objects to.
            return replace(result, outcome=Outcome.DEFERRED)
        paused_until = self._throttle.pause(str(error))
        if isinstance(error, MailBlocked):
            pauses.pause_everything(str(error), paused_until, self._clock())
        if result.counts_as_attempt:
            return result
        # Requeue behind the rest, in case this message is what the server objects to.
        return replace(result, retry_at=paused_until + BEHIND)

    def _record_sent(self, claim: Claim) -> Result:
        email = claim.email
        self._taken.add(_identity(email))
        self._throttle.record_success()
        # However long the database is down: only this process knows, and without the record the
        # email would be sent again once its lease ends.
        while True:
            try:
                result = results.record(claim, results.SENT, self._clock())
            except StoreUnavailable as error:
                _log.error("email_unsettled", email=email.id, why=errors.reason(error))
                time.sleep(STORE_RETRY_S)
                continue
            if result.status is OutboxStatus.SENT:
                self._taken.discard(_identity(email))
            return result


def _identity(email: OutboxEmail) -> Identity:
    # An id alone comes again where an older database was restored.
    return email.id, email.created_at


def _is_store_down(error: Exception) -> bool:
    return isinstance(error, StoreUnavailable) or errors.is_environmental(error)


def _job_result(result: Result) -> JobResult:
    has_failed = result.status is OutboxStatus.FAILED
    is_refused = has_failed and result.outcome is not Outcome.FAULT
    return JobResult(1, result.is_good, has_failed, refused=is_refused)


def _why_unsendable(email: OutboxEmail, now: datetime) -> Result | None:
    if stale := expiry.why_stale(email, now):
        return Result(OutboxStatus.SKIPPED, Outcome.SKIPPED, stale)
    if suppressed := suppressions.reason_for(email, now):
        reason = f"the address is suppressed: {suppressed}"
        return Result(OutboxStatus.FAILED, Outcome.SUPPRESSED, reason)
    return None

"""Sending what is due in the outbox: claim, compose, hand over, record."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import structlog

from app import config
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
from app.services.mail import answer_email_requests, leases, masking, pauses, results
from app.services.mail.batch import Batch
from app.services.mail.compose import compose
from app.services.mail.leases import LeapWatch
from app.services.mail.results import BEHIND, Result
from app.services.mail.throttle import ProcessorShare, SendThrottle
from app.store import attempts, claiming, outbox, wakeups
from app.store import pauses as stored_pauses
from app.store.claiming import Claim
from app.store.db import errors
from app.store.models import OutboxEmail, OutboxStatus, Outcome
from emails.safety import UnsafeValue

# How many emails a connection claims together: few at first, so that each connection gets some
# and a slow server holds up few; twice as many where they left quickly.
FIRST_BATCH, LARGEST_BATCH = 4, 64
QUICK_S = 0.5
# The slowest SMTP conversation takes 15 MAIL_TIMEOUTs.
TIMEOUTS_OF_AN_EMAIL = 20
# Seconds between two tries while the database is down.
STORE_RETRY_S = 0.5

Identity = tuple[int, datetime]

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Prepared(Outgoing):
    """A claimed email, composed."""

    claim: Claim = field(kw_only=True)


class OutboxSender:
    """Sends the emails of one process, from any number of its threads at once."""

    def __init__(
        self,
        mailer: Mailer,
        clock: Callable[[], datetime],
        must_stop: Callable[[], bool] = lambda: False,
        *,
        share: ProcessorShare | None = None,
        leaps: LeapWatch | None = None,
        ring: Callable[[], None] = wakeups.ring,
    ) -> None:
        """`share`: see SendThrottle. `ring` wakes others when more is due than one batch."""
        self._mailer = mailer
        self._clock = clock
        # Once it returns True no message is finished: the process ends before the reply.
        self._must_stop = must_stop
        self._ring = ring
        self._leaps = leaps
        self._throttle = SendThrottle(clock, share)
        # Emails that a thread is handing to the server.
        self._in_hand: set[Identity] = set()
        # Emails that the server has taken and whose rows do not say so yet.
        self._taken: set[Identity] = set()

    @property
    def patience_s(self) -> float:
        # One email at a slow mail server.
        return TIMEOUTS_OF_AN_EMAIL * config.current().mail_timeout

    def deliver(self) -> PartialResults:
        """Parts of some emails each. Untried claims are given back, also if it is closed."""
        answer_email_requests.answer_due(self._clock())
        if self._throttle.is_held():
            return
        oldest_at = claiming.oldest_due_at(self._clock())
        if oldest_at is None:
            return
        connection, size = self._mailer.connect(), FIRST_BATCH
        # Closed before the slot is freed: until QUIT the server counts the connection.
        with self._throttle.slot(connection) as has_room, connection:
            while has_room and not self._throttle.paused_until:
                began_s = time.monotonic()
                has_leapt = self._leaps is not None and self._leaps.has_just_leapt()
                claims = claiming.claim(self._clock(), size, also_lost=not has_leapt)
                if not claims:
                    return
                if len(claims) == size:
                    # There may be more: other connections, and other processes, can help.
                    self._ring()
                batch = Batch(claims)
                for part in self._send_all(batch, connection):
                    yield replace(part, oldest_at=oldest_at)
                if batch.is_stopped:
                    yield JobResult(len(batch.open))
                    return
                if self._throttle.gives_way(connection):
                    return
                is_quick = time.monotonic() - began_s < QUICK_S
                size = min(2 * size, LARGEST_BATCH) if is_quick else max(size // 2, 1)

    def _send_all(self, batch: Batch, connection: Connection) -> Iterator[JobResult]:
        claims = list(batch.open.values())
        mine = self._take_in_hand(batch)
        try:
            with leases.kept(claims, self._clock):
                for message, error in connection.deliver(self._prepared(batch)):
                    if not self._note(batch, message.claim, error, connection):
                        batch.is_stopped = True
                        break
                    if batch.is_due:
                        self._store(batch)
                        yield batch.take_stored()
                self._store(batch)
                yield batch.take_stored()
        finally:
            self._store(batch)
            self._in_hand -= mine
            if batch.open:
                left, until = batch.open.values(), self._throttle.paused_until
                claiming.give_back(left, self._clock(), not_before=until)

    def _take_in_hand(self, batch: Batch) -> set[Identity]:
        """The emails that this thread alone tries; the others get their results here."""
        mine, now = set[Identity](), self._clock()
        for claim in list(batch.open.values()):
            identity = _identity(claim.email)
            # Looked up before `_taken`, which has each email before it leaves `_in_hand`.
            is_in_hand = identity in self._in_hand
            if identity in self._taken:
                # Only the record of that is missing.
                batch.end(claim, results.SENT, now)
            elif is_in_hand:
                # The clock leapt over another thread's lease, and the server may have the message.
                batch.end(claim, results.LOST, now)
            else:
                mine.add(identity)
        self._in_hand |= mine
        return mine

    def _prepared(self, batch: Batch) -> Iterator[Prepared]:
        """The emails of a batch, each composed just before it is handed over."""
        while not self._throttle.paused_until and (claim := batch.next()):
            email, now = claim.email, self._clock()
            try:
                if unsendable := batch.why_unsendable(email, now):
                    batch.end(claim, unsendable, now)
                    continue
                message = compose(email, now)
            except (StoreUnavailable, *errors.DATABASE_ERRORS):
                raise
            except Exception as error:
                if not isinstance(error, UnsafeValue):
                    _log.exception("email_fault", email=email.id, kind=email.kind)
                batch.end(claim, results.result_of(error), now)
                continue
            yield Prepared(
                message.recipient.addr_spec,
                self._mailer.sign(message.to_bytes()),
                message.needs_smtputf8,
                self._may_finish(claim),
                partial(masking.words_of_email, email),
                envelope_sender(email),
                claim=claim,
            )

    def _may_finish(self, claim: Claim) -> Callable[[], bool]:
        # The lease and the process must last until the reply to the whole message.
        return lambda: not self._must_stop() and claiming.may_send(claim, self._clock())

    def _note(
        self, batch: Batch, claim: Claim, error: MailError | None, connection: Connection
    ) -> bool:
        """Take the end of a try into the batch; whether this connection goes on."""
        if error is None:
            self._taken.add(_identity(claim.email))
            self._throttle.record_success(connection)
            batch.end(claim, results.SENT, self._clock())
            return True
        if isinstance(error, MailWithheld):
            if self._must_stop() or outbox.held_since():
                return False
            if claim.probes or not stored_pauses.covers(claim.email.domain):
                batch.end(claim, results.LOST, self._clock())
            return True
        # What an error means depends on what the server took before and since.
        self._store(batch)
        result = self._result_of(error, claim.email, connection)
        if result is None:
            return False
        batch.end(claim, result, self._clock())
        self._store(batch)
        return not self._throttle.paused_until

    def _result_of(
        self, error: MailError, email: OutboxEmail, connection: Connection
    ) -> Result | None:
        """The result of an error; None if this connection leaves a crowded server to others."""
        result = results.result_of(error)
        if isinstance(error, MailUnwelcome) and attempts.has_sent_since_last(email, email.domain):
            # The domain takes other emails, so it must be this one that it objects to.
            return replace(result, outcome=Outcome.DEFERRED, pauses_domain=False)
        if not error.is_about_server:
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

    def _store(self, batch: Batch) -> None:
        ended = batch.take_results()
        while ended:
            try:
                written = results.record(ended)
            except StoreUnavailable as error:
                sent = [each.claim.email.id for each in ended if each.result is results.SENT]
                if not sent:
                    raise
                # However long the database is down: only this process knows, and without the
                # record the emails would be sent again once their leases end.
                why = errors.reason(error)
                _log.error("email_unsettled", email=sent[0], emails=len(sent), why=why)
                time.sleep(STORE_RETRY_S)
                continue
            for each, result in zip(ended, written, strict=True):
                if result.status is OutboxStatus.SENT:
                    self._taken.discard(_identity(each.claim.email))
                batch.stored += _job_result(result)
            return


def _identity(email: OutboxEmail) -> Identity:
    # An id alone comes again where an older database was restored.
    return email.id, email.created_at


def _job_result(result: Result) -> JobResult:
    has_failed = result.status is OutboxStatus.FAILED
    is_refused = has_failed and result.outcome is not Outcome.FAULT
    return JobResult(1, result.is_good, has_failed, refused=is_refused)

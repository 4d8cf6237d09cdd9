"""Sending what is due in the outbox: claim, letter, send, settle; no transaction spans SMTP."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app import config
from app.errors import StoreUnavailable
from app.mailer import Connection, Mailer, MailError
from app.services import letters, settling, staleness
from app.services.runs import Parts, Run
from app.services.settling import End
from app.store import faults, outbox, suppressions
from app.store.models import OutboxEmail, OutboxStatus, Outcome
from app.store.outbox import Claim
from emails.safety import UnsafeValue

BATCH = 10
# The server's answer to a whole message may take three of the lease's twenty timeouts.
LEASE_FOR_CONVERSATION = 0.8
STORE_AGAIN_S = 0.5
HOLD_TOLD_EVERY = timedelta(minutes=1)

_log = structlog.get_logger("mindsum")


class Courier:
    """Delivers for one process; pauses when the mail server would turn every email away."""

    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        self._clock = clock
        self._pause: tuple[datetime, datetime] | None = None
        self._hold_told_at: datetime | None = None

    def deliver(self) -> Parts:
        """Send everything that is due, unless the queue is paused or held; a part per email.

        Several threads may do so at once. Emails that were claimed and not tried are given back
        when the queue is paused, or the parts are closed.
        """
        now = self._clock()
        if (held_since := outbox.held_since()) is not None:
            self._tell_hold(held_since, now)
            return
        oldest_at = outbox.oldest_due_at(now)
        if oldest_at is None or self._is_paused(now):
            return
        self._pause = None
        with self._mailer.connect() as connection:
            while not self._pause and (taken := outbox.claim(self._clock(), BATCH)):
                claims = deque(taken)
                for run in self._each(claims, connection):
                    yield replace(run, oldest_at=oldest_at)
                yield Run(len(claims))

    def _is_paused(self, now: datetime) -> bool:
        # Before its beginning as little as after its end: then the clock has gone back since.
        return self._pause is not None and self._pause[0] <= now < self._pause[1]

    def _each(self, claims: deque[Claim], connection: Connection) -> Iterator[Run]:
        try:
            while claims and not self._pause:
                claimed = claims.popleft()
                try:
                    run = _run_of(self._send(claimed, connection))
                except (StoreUnavailable, *faults.DATABASE_ERRORS) as error:
                    # It stays ours as long as its lease lasts, and the others come first.
                    claims.append(claimed)
                    _log.error("email_waits", email=claimed.email.id, why=faults.reason(error))
                    time.sleep(STORE_AGAIN_S)
                    run = Run()
                yield run
        finally:
            if claims:
                outbox.give_back(claims, self._pause[1] if self._pause else self._clock())

    def _send(self, claimed: Claim, connection: Connection) -> End:
        now = self._clock()
        may_finish = self._lease_from(now)
        if not outbox.renew(claimed, now):
            return settling.settle(claimed, settling.LOST, now)
        if foregone := _foregone(claimed.email, now):
            return settling.settle(claimed, foregone, now)
        try:
            message = letters.compose(claimed.email, now)
            connection.deliver(message.to_email(), message.recipient.addr_spec, may_finish)
        except (MailError, UnsafeValue) as error:
            if isinstance(error, MailError) and error.is_about_server:
                self._wait_for_server(str(error))
            return settling.settle(claimed, settling.end_of(error), self._clock())
        except Exception as error:
            _log.exception("email_fault", email=claimed.email.id, kind=claimed.email.kind)
            return settling.settle(claimed, settling.end_of(error), self._clock())
        return self._note_taken(claimed)

    def _note_taken(self, claimed: Claim) -> End:
        """Note what the server has taken, however long the database is away: nobody else knows."""
        while True:
            try:
                return settling.settle(claimed, settling.SENT, self._clock())
            except Exception as error:
                _log.error("email_unsettled", email=claimed.email.id, why=faults.reason(error))
                time.sleep(STORE_AGAIN_S)

    def _lease_from(self, now: datetime) -> Callable[[], bool]:
        """Whether a lease renewed at `now` lasts until the server's answer to a whole message.

        By both clocks: a process that was stopped sees it by the one, a leap of time by the other.
        """
        enough = outbox.lease() * LEASE_FOR_CONVERSATION
        until_s = time.monotonic() + enough.total_seconds()
        return lambda: time.monotonic() < until_s and self._clock() < now + enough

    def _tell_hold(self, since: datetime, now: datetime) -> None:
        if self._hold_told_at is None or abs(now - self._hold_told_at) >= HOLD_TOLD_EVERY:
            self._hold_told_at = now
            waiting = outbox.due_count(now)
            _log.warning("outbox_held", since=since.isoformat(), waiting=waiting)

    def _wait_for_server(self, why: str) -> None:
        if self._pause:
            return
        now, wait = self._clock(), settling.retry_wait(1, config.current().outbox_retry_seconds)
        self._pause = now, now + wait
        _log.error("outbox_paused", why=why, for_s=round(wait.total_seconds(), 1))


def after_leap_back(now: datetime) -> None:
    """Do not let what is queued wait until a clock that went back is where it was."""
    outbox.bring_forward(now)


def _run_of(end: End) -> Run:
    return Run(1, end.is_good, end.status is OutboxStatus.FAILED)


def _foregone(email: OutboxEmail, now: datetime) -> End | None:
    """How an email ends that no server is asked about; None if it should be sent."""
    if stale := staleness.why_stale(email, now):
        return End(OutboxStatus.SKIPPED, Outcome.SKIPPED, stale)
    if suppressed := suppressions.reason_for(email):
        why = f"the address is suppressed: {suppressed}"
        return End(OutboxStatus.FAILED, Outcome.SUPPRESSED, why)
    return None

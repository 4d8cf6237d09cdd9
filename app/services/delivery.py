"""Sending what is due in the outbox: claim, letter, send, settle; no transaction spans SMTP."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from app import config
from app.mailer import Connection, MailBlocked, MailDeferred, Mailer, MailRefused
from app.services import letters, ranking, staleness
from app.services.runs import Run
from app.store import outbox
from app.store.database import in_transaction
from app.store.models import Booking, OutboxStatus
from app.store.outbox import Claim
from emails.safety import UnsafeValue

BATCH = 50
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_WAIT = timedelta(hours=1)

_GOOD_ENDS = frozenset({OutboxStatus.SENT, OutboxStatus.SKIPPED})

_log = structlog.get_logger("mindsum")


def deliver(mailer: Mailer, clock: Callable[[], datetime]) -> Run:
    """Send everything that is due."""
    oldest_at = outbox.oldest_due_at(clock())
    if oldest_at is None:
        return Run()
    due = done = 0
    with mailer.connect() as connection:
        while claims := outbox.claim(clock(), BATCH):
            for claimed in claims:
                due += 1
                done += _send(claimed, connection, clock) in _GOOD_ENDS
    return Run(due, done, due - done, oldest_at)


def _send(claimed: Claim, connection: Connection, clock: Callable[[], datetime]) -> OutboxStatus:
    email = claimed.email
    stale = staleness.why_stale(email, clock())
    if stale:
        return _settle(claimed, OutboxStatus.SKIPPED, clock(), stale)
    try:
        message = letters.compose(email, clock())
        connection.deliver(message.to_email(), message.recipient.addr_spec)
    except MailDeferred as error:
        return _later(claimed, clock(), str(error))
    except MailBlocked as error:
        return _later(claimed, clock(), str(error), burns_attempt=False)
    except (MailRefused, UnsafeValue) as error:
        return _settle(claimed, OutboxStatus.FAILED, clock(), str(error))
    except Exception as error:
        # A fault of ours must not hold up the others, nor lose this one: it may be mended.
        _log.exception("email_fault", email=email.id, kind=email.kind)
        return _later(claimed, clock(), type(error).__name__)
    return _settle(claimed, OutboxStatus.SENT, clock())


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
    """How long to wait after the `attempts`-th try: doubling, jittered by a fifth, an hour at most."""
    doubled = first_wait_s * 2 ** min(max(attempts - 1, 0), 20)
    bounded = min(doubled, max(LONGEST_WAIT.total_seconds(), first_wait_s))
    return timedelta(seconds=bounded * random.uniform(0.8, 1.2))


@in_transaction
def _settle(
    claimed: Claim,
    status: OutboxStatus,
    now: datetime,
    error: str | None = None,
    *,
    retry_at: datetime | None = None,
    burns_attempt: bool = True,
) -> OutboxStatus:
    email = claimed.email
    settled = outbox.settle(
        claimed, status, now=now, error=error, retry_at=retry_at, burns_attempt=burns_attempt
    )
    booking = email.booking
    if settled and booking and (email.kind, status) == ("booking_requested", OutboxStatus.SENT):
        Booking.update(handed_over_at=now).where(
            Booking.id == booking.id, Booking.handed_over_at.is_null()
        ).execute()
        ranking.touch(booking.therapist_id, now)
    tell = _log.info if status in _GOOD_ENDS else _log.warning
    tell(
        f"email_{status}" if settled else "email_lease_lost",
        email=email.id,
        kind=email.kind,
        to=str(email.role),
        booking=email.booking.reference if email.booking else None,
        attempt=email.attempts,
        why=error,
    )
    return status if settled else OutboxStatus.SENDING

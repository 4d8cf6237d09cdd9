"""The outbox for ops: what waits and why, and retrying, holding, releasing and skipping."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.services.ops import acts, outbox_skip
from app.services.ops.outbox_skip import SkipResult
from app.store import attempts, outbox, pauses, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import (
    DeliveryAttempt,
    MailPause,
    OutboxEmail,
    OutboxStatus,
    Suppression,
)
from app.store.queries import metrics


@dataclass(frozen=True, slots=True)
class OutboxState:
    """`held_since`: None where nothing stops the whole outbox."""

    held_since: datetime | None
    pauses: list[MailPause]
    counts: dict[OutboxStatus, int]


@dataclass(frozen=True, slots=True)
class EmailState:
    """An email with each try to deliver it, and what keeps it waiting beside its own state."""

    email: OutboxEmail
    attempts: list[DeliveryAttempt]
    pause: MailPause | None
    unreachable: Suppression | None


def state() -> OutboxState:
    return OutboxState(outbox.held_since(), pauses.all_pauses(), metrics.emails())


def email_state(number: int) -> EmailState:
    """Raises NotFound."""
    email = queries.email_by_id(number)
    recipient = email.recipient
    return EmailState(
        email,
        attempts.list_for(email),
        pauses.get(pauses.EVERYTHING) or pauses.get(email.domain),
        suppressions.of_address(recipient.email) if recipient else None,
    )


def about(email: OutboxEmail) -> str:
    """The booking, or the therapist's slug where it is about no booking but a therapist."""
    return email.therapist.slug if email.therapist and not email.booking else email.about


@in_transaction
def retry(number: int | None, now: datetime) -> int:
    """One failed email, or all of them (None); how many are sent again."""
    queued = outbox.retry_failed(number, now)
    if queued:
        _record("outbox_retry", number, now)
    return queued


def _record(what: str, number: int | None, now: datetime) -> None:
    if number is None:
        acts.record(f"{what} all", now)
        return
    email = queries.email_by_id(number)
    acts.record(f"{what} {number}", now, booking=email.booking, therapist=email.therapist)


@in_transaction
def hold(now: datetime) -> datetime:
    """Since when nothing is sent."""
    held_since = outbox.held_since()
    if held_since is None:
        outbox.hold(now)
        acts.record("outbox_hold", now)
    return held_since or now


@in_transaction
def release(now: datetime) -> bool:
    """Whether it was on hold."""
    was_held = outbox.held_since() is not None
    if was_held:
        outbox.release(now)
        acts.record("outbox_release", now)
    return was_held


def due_count(now: datetime) -> int:
    return outbox.due_count(now)


@in_transaction
def skip(numbers: Sequence[int], now: datetime) -> int:
    """As `outbox_skip.skip`. Raises InvalidFields."""
    skipped = outbox_skip.skip(numbers, now)
    for number in sorted(set(numbers)):
        _record("outbox_skip", number, now)
    return skipped


def skip_due_before(instant: datetime, now: datetime) -> SkipResult:
    skipped = outbox_skip.skip_due_before(instant, now)
    _record_skip(now)
    return skipped


@in_transaction
def _record_skip(now: datetime) -> None:
    acts.record("outbox_skip due-before", now)

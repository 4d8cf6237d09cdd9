"""Takes emails out of the outbox unsent, such as those that had left before a restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from peewee import Expression

from app.errors import FieldError, InvalidFields
from app.services.jobs import due
from app.store.db.database import in_transaction, on_commit
from app.store.models import OutboxEmail, OutboxStatus

REASON = "skipped by ops"

_QUEUED = OutboxEmail.status == OutboxStatus.QUEUED
_CLAIMED = OutboxEmail.status == OutboxStatus.SENDING

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class SkipResult:
    """How many emails were skipped, and what is left to skip.

    `in_hand` emails are claimed by a scheduler, which may be sending them until `in_hand_until`.
    The emails of `failed_steps` (reminders, expiries …) are yet to be written: those steps
    failed, or another process had locked their booking or therapist.
    """

    skipped: int
    in_hand: int = 0
    in_hand_until: datetime | None = None
    failed_steps: int = 0

    @property
    def is_complete(self) -> bool:
        return not (self.in_hand or self.failed_steps)


@in_transaction
def skip(ids: Sequence[int], now: datetime) -> int:
    """All or none. Raises InvalidFields naming those that are sent, being sent or unknown."""
    wanted = set(ids)
    skipped = _skip(OutboxEmail.id.in_(wanted), now)
    if skipped < len(wanted):
        just_skipped = (OutboxEmail.settled_at == now) & (OutboxEmail.last_error == REASON)
        done = OutboxEmail.select().where(OutboxEmail.id.in_(wanted), just_skipped)
        others = ", ".join(str(each) for each in sorted(wanted - {email.id for email in done}))
        raise InvalidFields(FieldError("ID", f"{others} is not waiting in the queue"))
    return skipped


def skip_due_before(instant: datetime, now: datetime) -> SkipResult:
    # A step that is still to be taken would write its email after this.
    sweeps = due.run_all_sweeps(now)
    skipped = _skip(_was_due_before(instant), now)
    is_leased = _CLAIMED & (OutboxEmail.due_at > now)
    in_hand = list(OutboxEmail.select().where(is_leased, _was_due_before(instant)))
    until = max((email.due_at for email in in_hand), default=None)
    return SkipResult(skipped, len(in_hand), until, sweeps.due - sweeps.done)


def _was_due_before(instant: datetime) -> Expression:
    # For claimed rows `due_at` is the end of the lease, so compare `created_at`.
    claimed = _CLAIMED & (OutboxEmail.created_at < instant)
    expression: Expression = (_QUEUED & (OutboxEmail.due_at < instant)) | claimed
    return expression


@in_transaction
def _skip(which: Expression, now: datetime) -> int:
    is_waiting = _QUEUED | (_CLAIMED & (OutboxEmail.due_at <= now))
    skipped = int(
        OutboxEmail.update(
            status=OutboxStatus.SKIPPED, lease_token=None, last_error=REASON, settled_at=now
        )
        .where(which, is_waiting)
        .execute()
    )
    on_commit(lambda: _log.warning("emails_left_out", count=skipped))
    return skipped

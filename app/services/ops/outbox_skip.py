"""Emails that ops takes out of the queue: what was sent before a backup was put in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from peewee import Expression

from app.errors import FieldError, InvalidFields
from app.services.jobs import due as sweeps
from app.store.db.database import in_transaction, on_commit
from app.store.models import OutboxEmail, OutboxStatus

REASON = "ops left it out"

_log = structlog.get_logger("mindsum")


_IS_QUEUED = OutboxEmail.status == OutboxStatus.QUEUED
_IS_TAKEN = OutboxEmail.status == OutboxStatus.SENDING


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many emails were left out, and what kept others from it.

    `in_hand` emails are claimed by a worker, which may be sending them until `in_hand_until`;
    `failed_steps` could not be taken, so that their emails are not there yet.
    """

    skipped: int
    in_hand: int = 0
    in_hand_until: datetime | None = None
    failed_steps: int = 0

    @property
    def is_all(self) -> bool:
        """Whether nothing is left of what should be left out."""
        return not (self.in_hand or self.failed_steps)


def _waits(now: datetime) -> Expression:
    """Queued, or claimed by a worker whose lease has run out."""
    waits: Expression = _IS_QUEUED | (_IS_TAKEN & (OutboxEmail.due_at <= now))
    return waits


def _was_due_before(instant: datetime) -> Expression:
    # Of what is taken, `due_at` says until when; it had been due before it was.
    taken = _IS_TAKEN & (OutboxEmail.created_at < instant)
    due: Expression = (_IS_QUEUED & (OutboxEmail.due_at < instant)) | taken
    return due


@in_transaction
def skip(ids: Sequence[int], now: datetime) -> int:
    """Take these emails out of the queue, all or none; how many.

    Raises InvalidFields naming those that do not wait there: sent, being sent, or never there.
    """
    wanted = set(ids)
    skipped = _skip(OutboxEmail.id.in_(wanted), now)
    if skipped < len(wanted):
        mine = OutboxEmail.id.in_(wanted) & (OutboxEmail.settled_at == now)
        done = OutboxEmail.select().where(mine, OutboxEmail.last_error == REASON)
        others = sorted(wanted - {email.id for email in done})
        named = ", ".join(str(each) for each in others)
        raise InvalidFields(FieldError("ID", f"{named} is not waiting in the queue"))
    return skipped


def skip_due_before(instant: datetime, now: datetime) -> LeftOut:
    """Take every waiting email out of the queue that was due before an instant.

    First every step is taken that the clock has made due, lest its emails come after this.
    """
    steps = sweeps.take_every_step(now)
    skipped = _skip(_was_due_before(instant), now)
    is_leased = _IS_TAKEN & (OutboxEmail.due_at > now)
    in_hand = list(OutboxEmail.select().where(is_leased, _was_due_before(instant)))
    until = max((email.due_at for email in in_hand), default=None)
    return LeftOut(skipped, len(in_hand), until, steps.failed)


@in_transaction
def _skip(which: Expression, now: datetime) -> int:
    skipped = int(
        OutboxEmail.update(
            status=OutboxStatus.SKIPPED, lease_token=None, last_error=REASON, settled_at=now
        )
        .where(which, _waits(now))
        .execute()
    )
    on_commit(lambda: _log.warning("emails_left_out", count=skipped))
    return skipped

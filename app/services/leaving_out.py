"""Emails that ops takes out of the queue: what was sent before a backup was put in place."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from peewee import Expression

from app.errors import FieldError, InvalidFields
from app.store.database import in_transaction, on_commit
from app.store.models import OutboxEmail, OutboxStatus

REASON = "ops left it out"

_log = structlog.get_logger("mindsum")


def _waits(now: datetime) -> Expression:
    """Queued, or claimed by a worker whose lease has run out."""
    is_claimed = (OutboxEmail.status == OutboxStatus.SENDING) & (OutboxEmail.due_at > now)
    is_open = OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING])
    waits: Expression = is_open & ~is_claimed
    return waits


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


@in_transaction
def skip_due_before(instant: datetime, now: datetime) -> int:
    """Take every waiting email out of the queue that was due before an instant; how many."""
    return _skip(OutboxEmail.due_at < instant, now)


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

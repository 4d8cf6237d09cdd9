"""What a clock that was wrong leaves behind: things that would wait until it is that late again."""

from datetime import datetime, timedelta

from app import config
from app.services.mail import results
from app.store import outbox, requeue
from app.store.db.database import in_transaction
from app.store.models import Therapist


@in_transaction
def after_leap_back(now: datetime) -> None:
    """Our own clock has gone back just now: what is due later only by that clock is due at once."""
    requeue.bring_forward(now, queued_after=now, sending_after=now + 2 * outbox.lease())
    _judge(now)
    later = Therapist.ranking_due_at > now
    Therapist.update(ranking_due_at=now).where(later).execute()


@in_transaction
def mend(now: datetime) -> None:
    """Some clock was ahead once: nothing need be due later than any wait of ours lasts."""
    longest = results.longest_wait(config.current().outbox_retry_seconds)
    # Twice a lease, for another machine's clock may be a little ahead of ours.
    requeue.bring_forward(
        now,
        queued_after=now + longest,
        sending_after=now + 2 * outbox.lease() + timedelta(minutes=1),
    )
    _judge(now)


def _judge(now: datetime) -> None:
    later = Therapist.standing_due_at > now
    if Therapist.select().where(later).exists():
        Therapist.update(standing_due_at=now).where(later).execute()

"""Tables of the system itself: idempotent answers, uses of limits, statistics of jobs."""

from datetime import datetime

from peewee import BigIntegerField, CharField, DoubleField, IntegerField, TextField

from app.store.models.base import Table, add_index
from app.store.models.fields import FactsField, InstantField


class IdempotentAnswer(Table):
    key = CharField(max_length=64, unique=True)
    # Hash of the request's body: the same key with another body is refused.
    body_hash = CharField(max_length=64)
    http_status = IntegerField()
    body = TextField()
    created_at = InstantField()


class LimitUse(Table):
    """When a subject did what a limit counts; the row is the lock for counting it."""

    kind = CharField(max_length=32)
    # A keyed hash, so that a copy of the database names no network; "" where there is one subject.
    subject = CharField(max_length=64)
    # {"at": moments as ISO 8601, oldest first}.
    uses = FactsField()
    # The newest of them.
    last_at = InstantField()

    class Meta:
        indexes = ((("kind", "subject"), True),)

    @property
    def moments(self) -> list[datetime]:
        return [datetime.fromisoformat(at) for at in self.uses.get("at", [])]

    def record(self, earlier: list[datetime], now: datetime) -> None:
        """Store one more use, after those `earlier` that still count."""
        self.uses = {"at": [at.isoformat() for at in [*earlier, now]]}
        self.last_at = now
        self.save()


class JobStatistics(Table):
    # The key, because an upsert would use up a number of a sequence each time.
    name = CharField(max_length=32, primary_key=True)
    runs = BigIntegerField()
    failed_runs = BigIntegerField()
    # Time spent in runs.
    seconds = DoubleField()
    # Items done and failed, over all runs.
    done = BigIntegerField()
    failed = BigIntegerField()
    last_finished_at = InstantField(null=True)
    last_took_s = DoubleField(null=True)
    # Seconds by which the most overdue item of the last run was late.
    last_lag_s = DoubleField(null=True)
    # The heartbeat.
    alive_at = InstantField()
    # Seconds without a heartbeat before the job counts as hung.
    patience_s = IntegerField()

    class Meta:
        table_name = "job_figures"


# Job purge: those that are over.
add_index(IdempotentAnswer, "idempotent_answer_created", IdempotentAnswer.created_at)
add_index(LimitUse, "limit_use_last", LimitUse.last_at)

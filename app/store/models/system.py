"""What the house keeps for itself: answers it has given, and how its jobs fare."""

from peewee import BigIntegerField, CharField, DoubleField, IntegerField, TextField

from app.store.models.base import Table
from app.store.models.fields import InstantField


class IdempotentAnswer(Table):
    """The answer that a request with an Idempotency-Key was given."""

    key = CharField(max_length=64, unique=True)
    body_hash = CharField(max_length=64)
    http_status = IntegerField()
    body = TextField()
    created_at = InstantField()


class JobFigures(Table):
    """How a job of the timetable has fared in all schedulers together, and when it last stirred."""

    # Not a number of its own: each write would use one up, also where the row exists.
    name = CharField(max_length=32, primary_key=True)
    runs = BigIntegerField()
    failed_runs = BigIntegerField()
    seconds = DoubleField()
    done = BigIntegerField()
    failed = BigIntegerField()
    last_finished_at = InstantField(null=True)
    last_took_s = DoubleField(null=True)
    last_lag_s = DoubleField(null=True)
    alive_at = InstantField()
    patience_s = IntegerField()

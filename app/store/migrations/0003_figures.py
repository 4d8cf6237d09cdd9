"""Delivery attempts, statistics of jobs, and indexes for metrics."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    CharField,
    Database,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
)
from playhouse.migrate import SchemaMigrator

INDEXES = (
    "CREATE INDEX timelineentry_event_via ON timeline_entry (event, via)",
    (
        "CREATE INDEX outbox_ended ON outbox_email (status)"
        " WHERE (status IN ('sent', 'failed', 'skipped'))"
    ),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class OutboxEmail(Table):
        pass

    class DeliveryAttempt(Table):
        email = ForeignKeyField(OutboxEmail, null=True, on_delete="SET NULL")
        at = BigIntegerField()
        outcome = CharField(max_length=32, index=True)
        code = IntegerField(null=True)
        said = CharField(max_length=300, null=True)

    class JobFigures(Table):
        name = CharField(max_length=32, primary_key=True)
        runs = BigIntegerField()
        failed_runs = BigIntegerField()
        seconds = DoubleField()
        done = BigIntegerField()
        failed = BigIntegerField()
        last_finished_at = BigIntegerField(null=True)
        last_took_s = DoubleField(null=True)
        last_lag_s = DoubleField(null=True)
        alive_at = BigIntegerField()
        patience_s = IntegerField()

    db.create_tables([DeliveryAttempt, JobFigures])
    # Each row of job_figures has a heartbeat instead.
    db.execute_sql("DROP TABLE heartbeat")
    for index in INDEXES:
        db.execute_sql(index)

"""The index by thread has a condition of its own, so that no other can take its place."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

STATEMENTS = (
    "DROP INDEX outbox_thread",
    (
        "CREATE INDEX outbox_thread ON outbox_email (thread, id)"
        " WHERE (status NOT IN ('sent', 'failed', 'skipped'))"
    ),
)


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for statement in STATEMENTS:
        db.execute_sql(statement)

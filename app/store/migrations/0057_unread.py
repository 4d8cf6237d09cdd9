"""Which bookings have messages that their therapist has not read; older ones count as read."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

STATEMENTS = (
    "ALTER TABLE booking ADD COLUMN unread_since BIGINT",
    (
        "CREATE INDEX booking_unread ON booking (therapist_id, unread_since)"
        " WHERE (unread_since IS NOT NULL)"
    ),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    for statement in STATEMENTS:
        db.execute_sql(statement)

"""A therapist's open enquiries and sessions to come are found without their past."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

INDEXES = (
    "CREATE INDEX booking_enquiries ON booking (therapist_id, expires_at)"
    " WHERE status = 'requested'",
    "CREATE INDEX booking_sessions ON booking (therapist_id, completes_at)"
    " WHERE status = 'accepted'",
)


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for index in INDEXES:
        db.execute_sql(index)

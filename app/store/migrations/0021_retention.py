"""Which bookings still have their words, for RETENTION_MONTHS."""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrate(migrator.add_column("booking", "words_cleared_at", BigIntegerField(null=True)))
    db.execute_sql(
        "CREATE INDEX booking_words ON booking (ends_at, client_id) WHERE words_cleared_at IS NULL"
    )
    db.execute_sql(
        "CREATE INDEX writing_private_notes ON writing (created_at) WHERE purpose = 'private_note'"
    )

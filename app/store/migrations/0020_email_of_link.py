"""The access trail names the email that carried an opened link."""

from peewee import Database, IntegerField
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    migrate(migrator.add_column("access_entry", "email_id", IntegerField(null=True)))
    db.execute_sql(
        "CREATE INDEX access_entry_email ON access_entry (email_id, at) WHERE email_id IS NOT NULL"
    )

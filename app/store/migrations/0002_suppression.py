"""Suppressed addresses, and the hold on a restored outbox."""

# The tables as of this step; today's models may differ.
from peewee import BigIntegerField, CharField, Database, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Suppression(Table):
        address_key = CharField(max_length=254, unique=True)
        reason = CharField(max_length=300)
        at = BigIntegerField()

    class Hold(Table):
        name = CharField(max_length=32, unique=True)
        at = BigIntegerField()

    db.create_tables([Suppression, Hold])

"""Calendar feeds of therapists: private addresses that calendar programs read."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class CalendarFeed(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
        secret_hash = CharField(max_length=64, unique=True)
        secret = TextField()
        shows_names = BooleanField()
        created_at = BigIntegerField()

    db.create_tables([CalendarFeed])

"""Phone numbers of therapists, for ops, encrypted."""

# The tables as of this step; today's models may differ.
from peewee import Database, ForeignKeyField, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class TherapistPhone(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
        number = TextField()

    db.create_tables([TherapistPhone])

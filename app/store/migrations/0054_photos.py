"""Photos of therapists."""

# The tables as of this step; today's models may differ.
from peewee import BigIntegerField, BlobField, CharField, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class TherapistPhoto(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", unique=True)
        key = CharField(max_length=32, unique=True)
        small = BlobField()
        large = BlobField()
        uploaded_at = BigIntegerField()

    db.create_tables([TherapistPhoto])

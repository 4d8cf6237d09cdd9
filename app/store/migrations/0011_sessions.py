"""Sessions of therapists as rows; what ends the links of an address that was changed."""

# The tables as of this step; today's models may differ.
from peewee import BigIntegerField, BooleanField, CharField, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class TherapistSession(Table):
        secret_hash = CharField(max_length=64, unique=True)
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
        browser = CharField(max_length=64)
        is_kept = BooleanField()
        created_at = BigIntegerField()
        last_seen_at = BigIntegerField()
        ended_at = BigIntegerField(null=True)

    db.create_tables([TherapistSession])
    for table in ("therapist", "client"):
        # With a constant default neither database rewrites the table.
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN links_epoch INTEGER NOT NULL DEFAULT 1")

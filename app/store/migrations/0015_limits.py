"""Uses of limits on strangers."""

# The table as of this step; today's model may differ.
from peewee import BigIntegerField, CharField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class LimitUse(Model):
        kind = CharField(max_length=32)
        subject = CharField(max_length=64)
        uses = TextField()
        last_at = BigIntegerField()

        class Meta:
            database = db
            legacy_table_names = False
            indexes = ((("kind", "subject"), True),)

    db.create_tables([LimitUse])

"""Emails that somebody asked for by typing an address; which email carries a Sign In link."""

# The tables as of this step; today's models may differ.
from peewee import BigIntegerField, CharField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator

COLUMN = (
    "ALTER TABLE sign_in ADD COLUMN told_by_id INTEGER"
    " REFERENCES outbox_email (id) ON DELETE SET NULL"
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class AskedEmail(Model):
        kind = CharField(max_length=32)
        address = TextField()
        address_hash = CharField(max_length=64)
        about = CharField(max_length=200)
        network = CharField(max_length=16)
        created_at = BigIntegerField()

        class Meta:
            database = db
            legacy_table_names = False

    columns = (AskedEmail.kind, AskedEmail.about, AskedEmail.id)
    AskedEmail.add_index(AskedEmail.index(*columns, name="asked_email_about"))
    db.create_tables([AskedEmail])
    db.execute_sql(COLUMN)
    db.execute_sql("CREATE INDEX sign_in_told_by_id ON sign_in (told_by_id)")

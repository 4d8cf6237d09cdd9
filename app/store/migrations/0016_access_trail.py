"""The access trail: who looked and who tried."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigAutoField,
    BigIntegerField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
)
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Booking(Table):
        pass

    class Therapist(Table):
        pass

    class Client(Table):
        pass

    class AccessEntry(Table):
        id = BigAutoField()
        at = BigIntegerField()
        last_at = BigIntegerField()
        times = IntegerField()
        event = CharField(max_length=32)
        about = CharField(max_length=64)
        by = CharField(max_length=32)
        via = CharField(max_length=32)
        booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
        therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
        client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
        network = CharField(max_length=16)
        link_made_at = BigIntegerField(null=True)
        merge_key = CharField(max_length=32, unique=True)

    at = AccessEntry.at
    AccessEntry.add_index(AccessEntry.index(at, name="access_entry_at"))
    for name in ("booking", "therapist", "client"):
        field = getattr(AccessEntry, name)
        index = AccessEntry.index(
            field, at, name=f"access_entry_{name}", where=field.is_null(False)
        )
        AccessEntry.add_index(index)
    db.create_tables([AccessEntry])

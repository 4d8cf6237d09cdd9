"""What a booking replaces: a column instead of a reference inside the timeline's facts."""

import json

# The tables as of this step; today's models may differ.
from peewee import CharField, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator

COLUMN = (
    "ALTER TABLE booking ADD COLUMN replaces_id INTEGER REFERENCES booking (id) ON DELETE SET NULL"
)
INDEX = "CREATE INDEX booking_replaces_id ON booking (replaces_id)"


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Booking(Table):
        reference = CharField()
        replaces_id = IntegerField(null=True)

    class TimelineEntry(Table):
        booking_id = IntegerField()
        event = CharField()
        facts = TextField()

    db.execute_sql(COLUMN)
    db.execute_sql(INDEX)
    requested = TimelineEntry.select().where(
        TimelineEntry.event == "requested", TimelineEntry.facts.contains('"instead_of"')
    )
    for line in list(requested):
        facts = json.loads(line.facts)
        replaced = Booking.get_or_none(Booking.reference == facts.pop("instead_of"))
        Booking.update(replaces_id=replaced.id if replaced else None).where(
            Booking.id == line.booking_id
        ).execute()
        TimelineEntry.update(facts=json.dumps(facts, sort_keys=True)).where(
            TimelineEntry.id == line.id
        ).execute()

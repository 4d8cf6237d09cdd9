"""Names and zones of clients move to their bookings; given names; what searches compare."""

# The tables as of this step; today's models may differ.
from peewee import CharField, Database, IntegerField, Model, ModelSelect, TextField
from playhouse.migrate import SchemaMigrator

from app.rules.names import given_name
from app.rules.search_key import search_key

_BATCH = 1000
# A constant default adds a column without writing the rows of a big table.
COLUMNS = (
    "ALTER TABLE booking ADD COLUMN client_name VARCHAR(120) NOT NULL DEFAULT ''",
    "ALTER TABLE booking ADD COLUMN client_given_name VARCHAR(120) NOT NULL DEFAULT ''",
    "ALTER TABLE booking ADD COLUMN client_timezone VARCHAR(64) NOT NULL DEFAULT ''",
    "ALTER TABLE therapist ADD COLUMN given_name VARCHAR(120) NOT NULL DEFAULT ''",
    "ALTER TABLE therapist ADD COLUMN name_search TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE therapist ADD COLUMN specialisms_search TEXT NOT NULL DEFAULT ''",
    # Only until the bookings are filled.
    "ALTER TABLE client ADD COLUMN given_name VARCHAR(120) NOT NULL DEFAULT ''",
)
DROPPED = ("name", "given_name", "timezone")


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        name = CharField()
        given_name = CharField()

        class Meta:
            database = db

    class Therapist(Table):
        specialisms = CharField()
        name_search = TextField()
        specialisms_search = TextField()

    class Client(Table):
        timezone = CharField()

    class Booking(Model):
        client_id = IntegerField()
        client_name = CharField()
        client_given_name = CharField()
        client_timezone = CharField()

        class Meta:
            database = db

    def of_client(column: CharField) -> ModelSelect:
        return Client.select(column).where(Client.id == Booking.client_id)

    for statement in COLUMNS:
        db.execute_sql(statement)
    for table in (Therapist, Client):
        _fill_given_names(table)
    for row in Therapist.select():
        row.name_search = search_key(row.name)
        row.specialisms_search = search_key(row.specialisms)
        row.save()
    Booking.update(
        client_name=of_client(Client.name),
        client_given_name=of_client(Client.given_name),
        client_timezone=of_client(Client.timezone),
    ).execute()
    for column in DROPPED:
        db.execute_sql(f"ALTER TABLE client DROP COLUMN {column}")


def _fill_given_names(table: type[Model]) -> None:
    last_id = 0
    while rows := list(
        table.select(table.id, table.name, table.given_name)
        .where(table.id > last_id)
        .order_by(table.id)
        .limit(_BATCH)
    ):
        for row in rows:
            row.given_name = given_name(row.name)
        table.bulk_update(rows, [table.given_name], batch_size=100)
        last_id = rows[-1].id

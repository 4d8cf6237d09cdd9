"""Requests whose address is not confirmed yet; limits on emails; whether clients came back."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    CharField,
    Database,
    ForeignKeyField,
    Model,
    SqliteDatabase,
    TextField,
)
from playhouse.migrate import SchemaMigrator

INDEXES = (
    "CREATE INDEX pending_address ON pending_request (address_hash)",
    "CREATE INDEX pending_expiry ON pending_request (expires_at)",
    (
        "CREATE INDEX pending_holding ON pending_request (therapist_id, held_until)"
        " WHERE (held_until IS NOT NULL)"
    ),
)
ONE_HOLDER = "CHECK ((booking_id IS NULL) <> (pending_id IS NULL))"
PENDING = "pending_id INTEGER REFERENCES pending_request (id) ON DELETE CASCADE"
# Whether clients came back was not noted before: what counted in a ranking goes on counting.
VISITS = (
    "INSERT INTO manage_visit (booking_id, at)"
    " SELECT booking_id, at FROM timeline_entry WHERE event = 'requested' AND via = 'page'"
)
# The table holds only the times of live bookings, so it is small.
ON_POSTGRESQL = (
    "ALTER TABLE held_time ALTER COLUMN booking_id DROP NOT NULL",
    f"ALTER TABLE held_time ADD COLUMN {PENDING}",
    f"ALTER TABLE held_time ADD CONSTRAINT held_time_one_holder {ONE_HOLDER}",
)
# SQLite cannot let go of NOT NULL, so the table is made again.
ON_SQLITE = (
    "ALTER TABLE held_time RENAME TO held_time_before",
    (
        "CREATE TABLE held_time ("
        " therapist_id INTEGER NOT NULL REFERENCES therapist (id) ON DELETE CASCADE,"
        " cell_at BIGINT NOT NULL,"
        " booking_id INTEGER REFERENCES booking (id) ON DELETE CASCADE,"
        f" {PENDING}, PRIMARY KEY (therapist_id, cell_at),"
        f" CONSTRAINT held_time_one_holder {ONE_HOLDER})"
    ),
    (
        "INSERT INTO held_time (therapist_id, cell_at, booking_id)"
        " SELECT therapist_id, cell_at, booking_id FROM held_time_before"
    ),
    "DROP TABLE held_time_before",
    "CREATE INDEX held_time_booking_id ON held_time (booking_id)",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class Booking(Table):
        pass

    class OutboxEmail(Table):
        pass

    class PendingRequest(Table):
        key = CharField(max_length=32, unique=True)
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
        kind = CharField(max_length=32)
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        address_hash = CharField(max_length=64)
        details = TextField()
        created_at = BigIntegerField()
        held_until = BigIntegerField(null=True)
        expires_at = BigIntegerField()
        told_by = ForeignKeyField(OutboxEmail, null=True, on_delete="SET NULL")
        booking = ForeignKeyField(Booking, null=True, on_delete="SET NULL")

    class EmailLimit(Table):
        kind = CharField(max_length=32)
        address_hash = CharField(max_length=64)
        leave_at = TextField()
        last_at = BigIntegerField()

        class Meta:
            indexes = ((("kind", "address_hash"), True),)

    class ManageVisit(Table):
        booking = ForeignKeyField(Booking, unique=True, on_delete="CASCADE")
        at = BigIntegerField()

    db.create_tables([PendingRequest, EmailLimit, ManageVisit])
    is_sqlite = isinstance(db, SqliteDatabase)
    for statement in (*INDEXES, *(ON_SQLITE if is_sqlite else ON_POSTGRESQL)):
        db.execute_sql(statement)
    db.execute_sql("CREATE INDEX held_time_pending_id ON held_time (pending_id)")
    db.execute_sql(VISITS)

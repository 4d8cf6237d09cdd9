"""Another time for a booking: proposals, the times that they hold, and what moves leave behind."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    SqliteDatabase,
)
from playhouse.migrate import SchemaMigrator

COLUMNS = (
    ("booking", "proposed_by VARCHAR(32)"),
    ("booking", "proposed_until BIGINT"),
    ("booking", "suggested_at BIGINT"),
    ("booking", "move_asked_at BIGINT"),
    ("booking", "asked_at BIGINT"),
    ("booking", "asked_times INTEGER NOT NULL DEFAULT 1"),
    ("booking", "earlier_delay_us BIGINT NOT NULL DEFAULT 0"),
    ("booking", "moves INTEGER NOT NULL DEFAULT 0"),
    ("booking", "is_moved_late BOOLEAN NOT NULL DEFAULT FALSE"),
    ("booking", "cancel_free_until BIGINT"),
    ("booking", "oldest_epoch INTEGER NOT NULL DEFAULT 1"),
    ("timeline_entry", "ordinal INTEGER NOT NULL DEFAULT 1"),
)
STATEMENTS = (
    (
        "CREATE INDEX booking_proposal ON booking (proposed_until)"
        " WHERE (proposed_until IS NOT NULL)"
    ),
    "CREATE UNIQUE INDEX proposal_open ON proposal (booking_id) WHERE (outcome IS NULL)",
    "CREATE INDEX proposed_time_calendar ON proposed_time (therapist_id, starts_at)",
    (
        "CREATE UNIQUE INDEX timeline_entry_booking_id_event_ordinal"
        " ON timeline_entry (booking_id, event, ordinal)"
    ),
    "DROP INDEX timeline_entry_booking_id_event",
)
ONE_HOLDER = (
    "CHECK ((CASE WHEN booking_id IS NULL THEN 0 ELSE 1 END)"
    " + (CASE WHEN pending_id IS NULL THEN 0 ELSE 1 END)"
    " + (CASE WHEN proposal_id IS NULL THEN 0 ELSE 1 END) = 1)"
)
PROPOSAL = "proposal_id INTEGER REFERENCES proposal (id) ON DELETE CASCADE"
ON_POSTGRESQL = (
    f"ALTER TABLE held_time ADD COLUMN {PROPOSAL}",
    "ALTER TABLE held_time DROP CONSTRAINT held_time_one_holder",
    f"ALTER TABLE held_time ADD CONSTRAINT held_time_one_holder {ONE_HOLDER}",
)
# SQLite cannot change a constraint, so the table is made again.
ON_SQLITE = (
    "ALTER TABLE held_time RENAME TO held_time_before",
    (
        "CREATE TABLE held_time ("
        " therapist_id INTEGER NOT NULL REFERENCES therapist (id) ON DELETE CASCADE,"
        " cell_at BIGINT NOT NULL,"
        " booking_id INTEGER REFERENCES booking (id) ON DELETE CASCADE,"
        " pending_id INTEGER REFERENCES pending_request (id) ON DELETE CASCADE,"
        f" {PROPOSAL}, PRIMARY KEY (therapist_id, cell_at),"
        f" CONSTRAINT held_time_one_holder {ONE_HOLDER})"
    ),
    (
        "INSERT INTO held_time (therapist_id, cell_at, booking_id, pending_id)"
        " SELECT therapist_id, cell_at, booking_id, pending_id FROM held_time_before"
    ),
    "DROP TABLE held_time_before",
    "CREATE INDEX held_time_booking_id ON held_time (booking_id)",
    "CREATE INDEX held_time_pending_id ON held_time (pending_id)",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class Booking(Table):
        epoch = IntegerField()
        oldest_epoch = IntegerField()

    class Proposal(Table):
        booking = ForeignKeyField(Booking, on_delete="CASCADE")
        by = CharField(max_length=32)
        was_free = BooleanField()
        made_at = BigIntegerField()
        until = BigIntegerField()
        outcome = CharField(max_length=32, null=True)
        ended_at = BigIntegerField(null=True)

    class ProposedTime(Table):
        proposal = ForeignKeyField(Proposal, on_delete="CASCADE")
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        is_taken = BooleanField()

    db.create_tables([Proposal, ProposedTime])
    for table, column in COLUMNS:
        # With a constant default neither database rewrites the table.
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    # Only revoking has raised an epoch until now.
    Booking.update(oldest_epoch=Booking.epoch).where(Booking.epoch > 1).execute()
    is_sqlite = isinstance(db, SqliteDatabase)
    for statement in (*STATEMENTS, *(ON_SQLITE if is_sqlite else ON_POSTGRESQL)):
        db.execute_sql(statement)
    db.execute_sql("CREATE INDEX held_time_proposal_id ON held_time (proposal_id)")

"""The ops desk: who signs in may be ops; what ops did and why; first steps of a therapist."""

# The tables as of this step; today's models may differ.
from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator

ONE_OWNER = (
    "CHECK ((CASE WHEN therapist_id IS NULL THEN 0 ELSE 1 END)"
    " + (CASE WHEN ops_address IS NULL THEN 0 ELSE 1 END) = 1)"
)
THERAPIST = "therapist_id INTEGER REFERENCES therapist (id) ON DELETE CASCADE"
COLUMNS = (
    ("access_entry", "ops_address VARCHAR(254) NOT NULL DEFAULT ''"),
    ("standing_entry", "reason TEXT"),
    ("therapist", "first_steps VARCHAR(64) NOT NULL DEFAULT ''"),
)
# Therapists who had an account before know their rate and visibility.
DONE = (
    "UPDATE therapist SET first_steps = 'rate,visibility'",
    (
        "UPDATE therapist SET first_steps = 'hours,' || first_steps WHERE EXISTS"
        " (SELECT 1 FROM availability WHERE availability.therapist_id = therapist.id)"
    ),
    (
        "UPDATE therapist SET first_steps = first_steps || ',meeting_link'"
        " WHERE meeting_url IS NOT NULL AND meeting_url <> ''"
    ),
)

OF_OPS = "CREATE INDEX {table}_ops ON {table} (ops_address) WHERE (ops_address IS NOT NULL)"
OWNED = ("sign_in", "therapist_session")
# SQLite cannot drop NOT NULL, so the tables are made again.
ON_SQLITE = {
    "sign_in": (
        "CREATE TABLE sign_in (id INTEGER NOT NULL PRIMARY KEY,"
        f" {THERAPIST}, ops_address VARCHAR(254), key VARCHAR(32) NOT NULL,"
        " next_path VARCHAR(200) NOT NULL, created_at BIGINT NOT NULL,"
        " told_by_id INTEGER REFERENCES outbox_email (id) ON DELETE SET NULL, used_at BIGINT,"
        f" {ONE_OWNER})",
        "id, therapist_id, key, next_path, created_at, told_by_id, used_at",
        (
            "CREATE UNIQUE INDEX sign_in_key ON sign_in (key)",
            "CREATE INDEX sign_in_therapist_id ON sign_in (therapist_id)",
            "CREATE INDEX sign_in_told_by_id ON sign_in (told_by_id)",
            "CREATE INDEX sign_in_created ON sign_in (created_at)",
        ),
    ),
    "therapist_session": (
        "CREATE TABLE therapist_session (id INTEGER NOT NULL PRIMARY KEY,"
        f" {THERAPIST}, ops_address VARCHAR(254), secret_hash VARCHAR(64) NOT NULL,"
        " browser VARCHAR(64) NOT NULL, is_kept SMALLINT NOT NULL, created_at BIGINT NOT NULL,"
        f" last_seen_at BIGINT NOT NULL, ended_at BIGINT, {ONE_OWNER})",
        "id, therapist_id, secret_hash, browser, is_kept, created_at, last_seen_at, ended_at",
        (
            "CREATE UNIQUE INDEX therapist_session_secret_hash ON therapist_session (secret_hash)",
            "CREATE INDEX therapist_session_therapist_id ON therapist_session (therapist_id)",
            (
                "CREATE INDEX therapist_session_ended ON therapist_session (ended_at)"
                " WHERE (ended_at IS NOT NULL)"
            ),
            "CREATE INDEX therapist_session_idle ON therapist_session (is_kept, last_seen_at)",
            "CREATE INDEX therapist_session_created ON therapist_session (created_at)",
        ),
    ),
}


def up(migrator: SchemaMigrator, db: Database) -> None:
    for table, column in COLUMNS:
        # With a constant default neither database rewrites the table.
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    for statement in DONE:
        db.execute_sql(statement)
    for table in OWNED:
        if isinstance(db, SqliteDatabase):
            _make_again(db, table)
        else:
            db.execute_sql(f"ALTER TABLE {table} ALTER COLUMN therapist_id DROP NOT NULL")
            db.execute_sql(f"ALTER TABLE {table} ADD COLUMN ops_address VARCHAR(254)")
            db.execute_sql(f"ALTER TABLE {table} ADD CONSTRAINT {table}_one_owner {ONE_OWNER}")
        db.execute_sql(OF_OPS.format(table=table))


def _make_again(db: Database, table: str) -> None:
    create, columns, indexes = ON_SQLITE[table]
    db.execute_sql(f"ALTER TABLE {table} RENAME TO {table}_before")
    db.execute_sql(create)
    db.execute_sql(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_before")  # noqa: S608 - names above
    db.execute_sql(f"DROP TABLE {table}_before")
    for index in indexes:
        db.execute_sql(index)

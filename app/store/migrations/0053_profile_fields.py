"""Qualifications and languages, whether there is a photo, and how many answers a median is of."""

import time

from peewee import Database
from playhouse.migrate import SchemaMigrator

COLUMNS = (
    "qualifications VARCHAR(300) NOT NULL DEFAULT ''",
    "languages VARCHAR(200) NOT NULL DEFAULT ''",
    "languages_search TEXT NOT NULL DEFAULT ''",
    "answers_counted INTEGER NOT NULL DEFAULT 0",
    "photo_key VARCHAR(32)",
)
INDEX = (
    "CREATE INDEX therapist_price ON therapist (rate_minor, score DESC, median_answer_s) WHERE"
    " (((deactivated_at IS NULL) AND NOT is_paused) AND NOT is_hidden)"
)


def up(_migrator: SchemaMigrator, db: Database) -> None:
    for column in COLUMNS:
        # With a constant default neither database rewrites the table.
        db.execute_sql(f"ALTER TABLE therapist ADD COLUMN {column}")
    db.execute_sql(INDEX)
    # The scheduler counts the answers of those who have a score.
    due = "UPDATE therapist SET ranking_due_at = %d WHERE ranked_at IS NOT NULL"
    db.execute_sql(due % (time.time() * 1_000_000))

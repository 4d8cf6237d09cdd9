"""Indexes with which the job purge finds what is over, however many rows there are."""

from peewee import Database
from playhouse.migrate import SchemaMigrator

INDEXES = {
    "email_limit_last": "email_limit (last_at)",
    "limit_use_last": "limit_use (last_at)",
    "sign_in_created": "sign_in (created_at)",
    "idempotent_answer_created": "idempotent_answer (created_at)",
    "therapist_session_ended": "therapist_session (ended_at) WHERE ended_at IS NOT NULL",
    "therapist_session_idle": "therapist_session (is_kept, last_seen_at)",
    "therapist_session_created": "therapist_session (created_at)",
}


def up(migrator: SchemaMigrator, db: Database) -> None:
    for name, what in INDEXES.items():
        db.execute_sql(f"CREATE INDEX {name} ON {what}")

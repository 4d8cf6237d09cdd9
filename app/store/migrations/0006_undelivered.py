"""Unreachable addresses expire; recipient domains that refuse us are paused."""

import re

# The tables as of this step; today's models may differ.
from peewee import BigIntegerField, CharField, Database, IntegerField, Model
from playhouse.migrate import SchemaMigrator

from emails.addresses import email_key

COLUMNS = (
    "ALTER TABLE outbox_email ADD COLUMN domain VARCHAR(255) NOT NULL DEFAULT ''",
    "ALTER TABLE suppression ADD COLUMN until BIGINT",
    "ALTER TABLE suppression ADD COLUMN doubts INTEGER NOT NULL DEFAULT 0",
    (
        "ALTER TABLE suppression ADD COLUMN email_id INTEGER"
        " REFERENCES outbox_email (id) ON DELETE SET NULL"
    ),
)
# The recipients of what waits; the settings know the address of ops.
WAITING = """
    SELECT mail.id, COALESCE(client.email, therapist.email)
    FROM outbox_email AS mail
    LEFT JOIN booking ON booking.id = mail.booking_id
    LEFT JOIN client ON mail.role = 'client'
        AND client.id = COALESCE(booking.client_id, mail.client_id)
    LEFT JOIN therapist ON mail.role = 'therapist'
        AND therapist.id = COALESCE(booking.therapist_id, mail.therapist_id)
    WHERE mail.status IN ('queued', 'sending') AND mail.role IN ('client', 'therapist')
"""
# The status codes that prove a dead mailbox. Release 0.1 suppressed on other refusals too.
PROOF = re.compile(r"^\w+: 5\d\d \D{0,3}5\.(?:1\.(?:1|2|3|6|10)|2\.1)(?![\d.])")
SEVEN_DAYS = 7 * 24 * 3600 * 1_000_000


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class OutboxEmail(Table):
        domain = CharField()

    class Suppression(Table):
        reason = CharField()
        at = BigIntegerField()
        until = BigIntegerField(null=True)

    class MailPause(Table):
        scope = CharField(max_length=255, unique=True)
        reason = CharField(max_length=300)
        at = BigIntegerField()
        until = BigIntegerField()
        refused_at = BigIntegerField()
        refusals = IntegerField()

    for column in COLUMNS:
        db.execute_sql(column)
    db.create_tables([MailPause])
    for email_id, address in db.execute_sql(WAITING).fetchall():
        domain = email_key(address or "").rpartition("@")[2]
        OutboxEmail.update(domain=domain).where(OutboxEmail.id == email_id).execute()
    for row in list(Suppression.select()):
        if PROOF.match(row.reason):
            Suppression.update(until=row.at + SEVEN_DAYS).where(Suppression.id == row.id).execute()
        else:
            Suppression.delete().where(Suppression.id == row.id).execute()

"""Sums of what therapists earned, by month, and an index that finds the lines of a span."""

# The tables as of this step; today's models may differ.
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from peewee import (
    BigIntegerField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
)
from playhouse.migrate import SchemaMigrator

STATEMENTS = (
    (
        "ALTER TABLE ledger_line ADD COLUMN therapist_id INTEGER"
        " REFERENCES therapist (id) ON DELETE RESTRICT"
    ),
    (
        "UPDATE ledger_line SET therapist_id ="
        " (SELECT therapist_id FROM booking WHERE booking.id = ledger_line.booking_id)"
        " WHERE account = 'therapist'"
    ),
    (
        "CREATE INDEX ledger_line_earned ON ledger_line (therapist_id, at)"
        " WHERE (therapist_id IS NOT NULL)"
    ),
)


def up(_migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        timezone = CharField()

    class Booking(Table):
        fee_minor = IntegerField()

    class LedgerLine(Table):
        booking = ForeignKeyField(Booking)
        therapist = ForeignKeyField(Therapist, null=True)
        amount_minor = IntegerField()
        currency = CharField()
        at = BigIntegerField()

    class MonthEarned(Table):
        therapist = ForeignKeyField(Therapist, on_delete="RESTRICT", index=False)
        month = CharField(max_length=7)
        currency = CharField(max_length=3)
        sessions = IntegerField()
        payout_minor = BigIntegerField()
        fee_minor = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("therapist", "month", "currency")

    db.create_tables([MonthEarned])
    for statement in STATEMENTS:
        db.execute_sql(statement)
    lines = LedgerLine.select(
        LedgerLine.at, LedgerLine.currency, LedgerLine.amount_minor, Booking.fee_minor
    ).join(Booking)
    for therapist in list(Therapist.select()):
        zone = ZoneInfo(therapist.timezone)
        sessions: Counter[tuple[str, str]] = Counter()
        payouts, fees = sessions.copy(), sessions.copy()
        theirs = lines.where(LedgerLine.therapist == therapist).tuples().iterator()
        for at, currency, payout_minor, fee_minor in theirs:
            earned_at = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(zone)
            key = f"{earned_at:%Y-%m}", currency
            sessions[key] += 1
            payouts[key] += payout_minor
            fees[key] += fee_minor
        for key, count in sessions.items():
            MonthEarned.insert(
                therapist=therapist.id,
                month=key[0],
                currency=key[1],
                sessions=count,
                payout_minor=payouts[key],
                fee_minor=fees[key],
            ).execute()

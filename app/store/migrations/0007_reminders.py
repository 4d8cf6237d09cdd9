"""The reminder of the day before moves to two hours before free cancelling ends."""

# The table as of this step; today's model may differ.
from peewee import BigIntegerField, Case, CharField, Database, Model
from playhouse.migrate import SchemaMigrator

HOUR = 3_600_000_000
# What the earlier releases stored, before the start.
DAY_BEFORE, HOUR_BEFORE = 24 * HOUR, HOUR
# Two hours before free cancelling ended in those releases, whatever this one is set to.
NEW_BEFORE = 26 * HOUR
QUIET_AFTER_ACCEPTING = 2 * HOUR


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Booking(Model):
        status = CharField()
        starts_at = BigIntegerField()
        answered_at = BigIntegerField(null=True)
        day_reminder_due_at = BigIntegerField(null=True)
        hour_reminder_due_at = BigIntegerField(null=True)

        class Meta:
            database = db

    def new(before: int) -> Case:
        # None within two hours of accepting.
        due_at = Booking.starts_at - before
        is_kept = Booking.answered_at + QUIET_AFTER_ACCEPTING < due_at
        return Case(None, [(is_kept, due_at)], None)

    # A second run finds nothing that it would change.
    accepted = Booking.status == "accepted"
    Booking.update(day_reminder_due_at=new(NEW_BEFORE)).where(
        accepted, Booking.day_reminder_due_at == Booking.starts_at - DAY_BEFORE
    ).execute()
    Booking.update(hour_reminder_due_at=new(HOUR_BEFORE)).where(
        accepted, Booking.hour_reminder_due_at == Booking.starts_at - HOUR_BEFORE
    ).execute()

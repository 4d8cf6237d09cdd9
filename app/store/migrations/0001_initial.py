"""The first schema."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator

INDEXES = (
    (
        "CREATE INDEX therapist_standing_due ON therapist (standing_due_at)"
        " WHERE (standing_due_at IS NOT NULL)"
    ),
    (
        "CREATE INDEX therapist_ranking_due ON therapist (ranking_due_at)"
        " WHERE (ranking_due_at IS NOT NULL)"
    ),
    (
        "CREATE INDEX therapist_listed ON therapist (score DESC, median_answer_s)"
        " WHERE (((deactivated_at IS NULL) AND NOT is_paused) AND NOT is_hidden)"
    ),
    (
        "CREATE UNIQUE INDEX booking_one_free_consultation ON booking (therapist_id, client_id)"
        " WHERE uses_free_consultation"
    ),
    ("CREATE INDEX booking_to_remind ON booking (reminder_due_at) WHERE (status = 'requested')"),
    "CREATE INDEX booking_late ON booking (late_due_at) WHERE (status = 'requested')",
    "CREATE INDEX booking_to_expire ON booking (expires_at) WHERE (status = 'requested')",
    ("CREATE INDEX booking_to_complete ON booking (completes_at) WHERE (status = 'accepted')"),
    (
        "CREATE INDEX booking_day_reminder ON booking (day_reminder_due_at)"
        " WHERE (status = 'accepted')"
    ),
    (
        "CREATE INDEX booking_hour_reminder ON booking (hour_reminder_due_at)"
        " WHERE (status = 'accepted')"
    ),
    "CREATE INDEX booking_calendar ON booking (therapist_id, starts_at)",
    "CREATE INDEX booking_history ON booking (therapist_id, requested_at)",
    ("CREATE INDEX outbox_due ON outbox_email (due_at) WHERE (status IN ('queued', 'sending'))"),
    (
        "CREATE INDEX outbox_thread ON outbox_email (thread, id)"
        " WHERE (status IN ('queued', 'sending'))"
    ),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        slug = CharField(max_length=64, unique=True)
        name = CharField(max_length=120)
        email = CharField(max_length=254)
        email_key = CharField(max_length=254, unique=True)
        timezone = CharField(max_length=64)
        rate_minor = IntegerField()
        currency = CharField(max_length=3)
        offers_free_consultation = BooleanField()
        meeting_url = CharField(max_length=500, null=True)
        headline = CharField(max_length=200)
        about = TextField()
        specialisms = CharField(max_length=500)
        is_paused = BooleanField()
        is_hidden = BooleanField()
        deactivated_at = BigIntegerField(null=True)
        flagged_at = BigIntegerField(null=True)
        streak = IntegerField()
        streak_told = IntegerField()
        standing_due_at = BigIntegerField(null=True)
        score = DoubleField()
        median_answer_s = IntegerField()
        ranked_at = BigIntegerField(null=True)
        ranking_due_at = BigIntegerField(null=True)
        tie_seed = BigIntegerField()
        created_at = BigIntegerField()

    class Window(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
        weekday = IntegerField()
        start_minute = IntegerField()
        end_minute = IntegerField()

        class Meta:
            table_name = "availability"
            indexes = ((("therapist", "weekday", "start_minute"), True),)

    class TimeOff(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()

        class Meta:
            indexes = ((("therapist", "ends_at"), False),)

    class Client(Table):
        email = CharField(max_length=254)
        email_key = CharField(max_length=254, unique=True)
        name = CharField(max_length=120)
        timezone = CharField(max_length=64)
        created_at = BigIntegerField()

    class Booking(Table):
        reference = CharField(max_length=16, unique=True)
        therapist = ForeignKeyField(Therapist, on_delete="RESTRICT", index=False)
        client = ForeignKeyField(Client, on_delete="RESTRICT")
        kind = CharField(max_length=32)
        status = CharField(max_length=32)
        requested_at = BigIntegerField()
        answer_by = BigIntegerField()
        expires_at = BigIntegerField()
        starts_at = BigIntegerField()
        ends_at = BigIntegerField()
        fee_minor = IntegerField()
        currency = CharField(max_length=3)
        uses_free_consultation = BooleanField()
        epoch = IntegerField()
        sequence = IntegerField()
        handed_over_at = BigIntegerField(null=True)
        answered_at = BigIntegerField(null=True)
        ended_at = BigIntegerField(null=True)
        ended_by_deactivation = BooleanField()
        reminder_due_at = BigIntegerField(null=True)
        late_due_at = BigIntegerField(null=True)
        day_reminder_due_at = BigIntegerField(null=True)
        hour_reminder_due_at = BigIntegerField(null=True)
        completes_at = BigIntegerField()

    class HeldTime(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False)
        cell_at = BigIntegerField()
        booking = ForeignKeyField(Booking, on_delete="CASCADE")

        class Meta:
            primary_key = CompositeKey("therapist", "cell_at")

    class TimelineEntry(Table):
        booking = ForeignKeyField(Booking, on_delete="CASCADE", index=False)
        event = CharField(max_length=32)
        by = CharField(max_length=32)
        via = CharField(max_length=32)
        at = BigIntegerField()
        facts = TextField()

        class Meta:
            indexes = ((("booking", "event"), True),)

    class LedgerLine(Table):
        booking = ForeignKeyField(Booking, on_delete="RESTRICT", index=False)
        event = CharField(max_length=32)
        account = CharField(max_length=16)
        amount_minor = IntegerField()
        currency = CharField(max_length=3)
        at = BigIntegerField()

        class Meta:
            indexes = ((("booking", "event", "account"), True),)

    class Writing(Table):
        booking = ForeignKeyField(Booking, on_delete="CASCADE")
        purpose = CharField(max_length=32)
        author = CharField(max_length=32)
        body = TextField()
        created_at = BigIntegerField()

    class StandingEntry(Table):
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
        event = CharField(max_length=32)
        booking = ForeignKeyField(Booking, on_delete="CASCADE", index=False, null=True)
        streak = IntegerField()
        at = BigIntegerField()

        class Meta:
            indexes = ((("booking", "event"), True),)

    class OutboxEmail(Table):
        about = CharField(max_length=80)
        kind = CharField(max_length=32)
        role = CharField(max_length=32)
        ordinal = IntegerField()
        booking = ForeignKeyField(Booking, on_delete="CASCADE", null=True)
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE", index=False, null=True)
        client = ForeignKeyField(Client, on_delete="CASCADE", index=False, null=True)
        thread = CharField(max_length=96)
        facts = TextField()
        status = CharField(max_length=32)
        created_at = BigIntegerField()
        due_at = BigIntegerField()
        first_tried_at = BigIntegerField(null=True)
        attempts = IntegerField()
        lease_token = CharField(max_length=32, null=True)
        last_error = CharField(max_length=300, null=True)
        settled_at = BigIntegerField(null=True)

        class Meta:
            indexes = ((("about", "kind", "role", "ordinal"), True),)

    class SignIn(Table):
        key = CharField(max_length=32, unique=True)
        therapist = ForeignKeyField(Therapist, on_delete="CASCADE")
        next_path = CharField(max_length=200)
        created_at = BigIntegerField()
        used_at = BigIntegerField(null=True)

    class IdempotentAnswer(Table):
        key = CharField(max_length=64, unique=True)
        body_hash = CharField(max_length=64)
        http_status = IntegerField()
        body = TextField()
        created_at = BigIntegerField()

    class Heartbeat(Table):
        name = CharField(max_length=32, unique=True)
        at = BigIntegerField()

    db.create_tables(Table.__subclasses__())
    for index in INDEXES:
        db.execute_sql(index)

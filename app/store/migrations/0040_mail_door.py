"""The mail door: messages that come in, complaints, and the key and epochs of its addresses."""

# The tables as of this step; today's models may differ.
from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Therapist(Table):
        pass

    class Client(Table):
        pass

    class Booking(Table):
        pass

    class OutboxEmail(Table):
        pass

    class InboundMessage(Table):
        key = CharField(max_length=64, unique=True)
        kind = CharField(max_length=32)
        therapist = ForeignKeyField(Therapist, null=True, on_delete="CASCADE", index=False)
        client = ForeignKeyField(Client, null=True, on_delete="CASCADE", index=False)
        email = ForeignKeyField(OutboxEmail, null=True, on_delete="CASCADE", index=False)
        sender_of = CharField(max_length=32)
        content = TextField(null=True)
        is_from_server = BooleanField()
        received_at = BigIntegerField()
        status = CharField(max_length=32)
        due_at = BigIntegerField()
        attempts = IntegerField()
        handled_at = BigIntegerField(null=True)
        outcome = CharField(max_length=32, null=True)
        booking = ForeignKeyField(Booking, null=True, on_delete="CASCADE", index=False)
        answer_key = CharField(max_length=64, null=True, unique=True)
        answer_sequence = IntegerField(null=True)
        answer_stamped_at = BigIntegerField(null=True)

    class Complaint(Table):
        address_key = CharField(max_length=254, unique=True)
        at = BigIntegerField()

    class MailKey(Table):
        name = CharField(max_length=32, unique=True)
        secret = TextField()

    for name, fields, where in (
        ("waiting", [InboundMessage.due_at], InboundMessage.status == "waiting"),
        ("sender", [InboundMessage.sender_of, InboundMessage.received_at], None),
        ("booking", [InboundMessage.booking], InboundMessage.booking.is_null(False)),
    ):
        index = InboundMessage.index(*fields, name=f"inbound_{name}", where=where)
        InboundMessage.add_index(index)
    db.create_tables([InboundMessage, Complaint, MailKey])
    for table in ("therapist", "client"):
        # With a constant default neither database rewrites the table.
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN addresses_epoch INTEGER NOT NULL DEFAULT 1")

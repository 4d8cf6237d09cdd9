"""Keys of addresses keep different letters apart: ß is no longer ss, ı is no longer i."""

import logging
from collections.abc import Iterator

# The tables as of this step; today's models may differ.
from peewee import BooleanField, CharField, Database, IntegerField, Model
from playhouse.migrate import SchemaMigrator

from emails.addresses import email_key

_BATCH = 1000
_log = logging.getLogger("mindsum")

# The key that people had, and the one they have now.
Renamed = dict[str, str]


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Person(Model):
        email = CharField()
        email_key = CharField()

        class Meta:
            database = db

    class Client(Person):
        pass

    class Therapist(Person):
        pass

    renamed: Renamed = {}
    # First keys that nothing else has, so that the order of the rows does not matter.
    people = [(table, *row) for table in (Client, Therapist) for row in _changed(table)]
    for table, row_id, old, new in people:
        table.update(email_key=f"changing-{row_id}").where(table.id == row_id).execute()
        renamed[old] = new
    for table, row_id, _, new in people:
        twin = table.get_or_none(table.email_key == new)
        if twin is None:
            table.update(email_key=new).where(table.id == row_id).execute()
        elif table is Client:
            _merge(db, kept=twin.id, other=row_id)
            table.update(email_key=new).where(table.id == twin.id).execute()
        else:
            # An account is never merged: ops gives it another address.
            key = f"address-of-therapist-{twin.id}-too-{row_id}"
            table.update(email_key=key).where(table.id == row_id).execute()
            _log.warning("therapists %s and %s have one address", twin.id, row_id)
    _rename_suppressions(db, renamed)


def _changed(table: type[Model]) -> Iterator[tuple[int, str, str]]:
    """(id, old key, new key) of the rows whose key changes."""
    last_id = 0
    while rows := list(
        table.select(table.id, table.email, table.email_key)
        .where(table.id > last_id)
        .order_by(table.id)
        .limit(_BATCH)
        .tuples()
    ):
        for row_id, email, old in rows:
            if (new := email_key(email)) != old:
                yield row_id, old, new
        last_id = rows[-1][0]


def _merge(db: Database, *, kept: int, other: int) -> None:
    """One person had two rows: everything of the other becomes the kept one's."""

    class Booking(Model):
        therapist_id = IntegerField()
        client_id = IntegerField()
        uses_free_consultation = BooleanField()

        class Meta:
            database = db

    class Client(Model):
        class Meta:
            database = db

    # Both may have used up the free consultation with a therapist; one is enough to know it.
    used = Booking.select(Booking.therapist_id).where(
        Booking.client_id == kept, Booking.uses_free_consultation
    )
    therapists = [therapist_id for (therapist_id,) in used.tuples()]
    Booking.update(uses_free_consultation=False).where(
        Booking.client_id == other, Booking.therapist_id.in_(therapists)
    ).execute()
    for name in db.get_tables():
        for key in db.get_foreign_keys(name):
            if key.dest_table == "client":
                _repoint(db, name, key.column, kept=kept, other=other)
    Client.delete().where(Client.id == other).execute()


def _repoint(db: Database, name: str, column: str, *, kept: int, other: int) -> None:
    class Referring(Model):
        client_id = IntegerField(column_name=column)

        class Meta:
            database = db
            table_name = name
            primary_key = False

    Referring.update(client_id=kept).where(Referring.client_id == other).execute()


def _rename_suppressions(db: Database, renamed: Renamed) -> None:
    class Suppression(Model):
        address_key = CharField()

        class Meta:
            database = db

    rows = list(Suppression.select().order_by(Suppression.id))
    kept = {row.address_key for row in rows}
    for row in rows:
        old = row.address_key
        # Of somebody who is no longer there, only the old key is left.
        new = renamed.get(old) or email_key(old)
        if new == old:
            continue
        kept.discard(old)
        if new in kept:
            row.delete_instance()
            continue
        kept.add(new)
        Suppression.update(address_key=new).where(Suppression.id == row.id).execute()

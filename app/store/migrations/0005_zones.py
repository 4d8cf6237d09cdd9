"""Stored time zones that only one machine knew become UTC."""

from peewee import CharField, Database, Model
from playhouse.migrate import SchemaMigrator

from emails import zones


def up(migrator: SchemaMigrator, db: Database) -> None:
    class Table(Model):
        timezone = CharField()

        class Meta:
            database = db

    class Therapist(Table):
        pass

    class Client(Table):
        pass

    for table in (Therapist, Client):
        for (name,) in list(table.select(table.timezone).distinct().tuples()):
            if name not in zones.NAMES:
                table.update(timezone="UTC").where(table.timezone == name).execute()

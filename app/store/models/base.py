"""The base class of all tables."""

from typing import TYPE_CHECKING, Any

import peewee
from peewee import AutoField

from app.store.db.database import db


class Table(peewee.Model):
    if TYPE_CHECKING:
        # peewee adds `id`, and for foreign keys the attributes that tables declare like this.
        id = AutoField()

        # peewee's stubs declare it in a way that mypy cannot read from a class.
        @classmethod
        def delete(cls) -> peewee.ModelDelete: ...

    class Meta:
        database = db
        legacy_table_names = False
        only_save_dirty = True


def add_index(
    model: type[Table], name: str, *fields: Any, where: Any = None, unique: bool = False
) -> None:
    """Declare an index over the rows that fit `where`, or over all."""
    model.add_index(model.index(*fields, name=name, where=where, unique=unique))

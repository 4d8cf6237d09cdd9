"""The base class of all tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import peewee
from peewee import AutoField

from app.store.db import statements
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

    def save(self, force_insert: bool = False, only: Sequence[str] | None = None) -> int:
        """Insert the row, or store what was assigned since it was read; how many rows it is."""
        row: Any = self
        if force_insert or row._pk is None:
            statements.insert(self)
            return 1
        changes = {name: row.__data__[name] for name in only or sorted(row._dirty)}
        row._dirty -= set(changes)
        return statements.update(type(self), changes, id=row._pk) if changes else 0


def add_index(
    model: type[Table], name: str, *fields: Any, where: Any = None, unique: bool = False
) -> None:
    """Declare an index over the rows that fit `where`, or over all."""
    model.add_index(model.index(*fields, name=name, where=where, unique=unique))

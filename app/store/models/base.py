"""What all tables have in common."""

from typing import TYPE_CHECKING, Any

import peewee
from peewee import AutoField

from app.store.db.database import db


class Table(peewee.Model):
    """The base of all tables."""

    if TYPE_CHECKING:
        # peewee makes these on its own: `id`, and below the ids and backrefs of foreign keys.
        id = AutoField()

        # peewee's stubs declare it in a way that mypy cannot read from a class.
        @classmethod
        def delete(cls) -> peewee.ModelDelete: ...

    class Meta:
        database = db
        legacy_table_names = False
        only_save_dirty = True


def partial(model: type[Table], name: str, *fields: Any, where: Any, unique: bool = False) -> None:
    """Give a table an index over the rows for which `where` holds."""
    model.add_index(model.index(*fields, name=name, where=where, unique=unique))

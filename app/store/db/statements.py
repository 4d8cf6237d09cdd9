"""Statements built from peewee's expressions, compiled once and then executed as text.

peewee compiles a query each time it runs, which takes longer than the database needs to run it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import peewee
from peewee import Field, Model, Node

from app.store.db.database import db, is_sqlite

R = TypeVar("R")

Convert = Callable[[Any], Any]

# The drivers return what these hold; peewee would convert it once more.
_AS_THEY_COME = frozenset(
    {
        peewee.AutoField,
        peewee.BigAutoField,
        peewee.BigIntegerField,
        peewee.CharField,
        peewee.DoubleField,
        peewee.ForeignKeyField,
        peewee.IntegerField,
        peewee.TextField,
    }
)


class _Parameter(Node):
    """Stands in a query for a value that is known when it is executed."""

    def __init__(
        self, index: int, place: int | None = None, convert: Convert | None = None
    ) -> None:
        # `place` is within a sequence, for IN.
        self.index, self.place, self.convert = index, place, convert

    def __sql__(self, context: Any) -> Any:
        # What it is compared with says how its values are stored.
        context._values.append(_Parameter(self.index, self.place, context.state.converter))
        return context.literal(context.state.param or "?")

    def value(self, given: Sequence[Any]) -> Any:
        value = given[self.index] if self.place is None else given[self.index][self.place]
        return value if self.convert is None else self.convert(value)


class _Compiled(NamedTuple):
    sql: str
    # Parameters and constants, in the order of their marks.
    values: list[Any]
    # From a row of the driver to what is selected; None for a statement that returns no rows.
    load: Callable[[Sequence[Any]], Any] | None


class Statement(Generic[R]):
    """A query with parameters: `build` makes it of placeholders, without looking at them.

    `R` is a row: an object of the selected model, with those it is joined to, or a tuple where
    `build` returns `tuples()`. A parameter is never None; for IN it is a list. What it is compared
    with converts it; a value to set is given as its column stores it.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._compiled: dict[Any, _Compiled] = {}

    def all(self, *given: Any) -> list[R]:
        compiled, cursor = self._executed(given)
        assert compiled.load is not None
        return [compiled.load(row) for row in cursor.fetchall()]

    def first(self, *given: Any) -> R | None:
        """For a query that is limited to one row, or finds one at most."""
        compiled, cursor = self._executed(given)
        row = cursor.fetchone()
        assert compiled.load is not None
        # To its end: SQLite would go on reading in this transaction.
        cursor.close()
        return None if row is None else compiled.load(row)

    def each(self, *given: Any) -> Iterator[R]:
        """As `all`, with one row in memory at a time."""
        compiled, cursor = self._executed(given)
        assert compiled.load is not None
        return map(compiled.load, cursor)

    def run(self, *given: Any) -> int:
        """How many rows a write changed."""
        return int(self._executed(given)[1].rowcount)

    def cursor(self, *given: Any) -> Any:
        return self._executed(given)[1]

    def _executed(self, given: Sequence[Any]) -> tuple[_Compiled, Any]:
        database = db.obj
        given = [_filled(each) if isinstance(each, list) else each for each in given]
        shape = type(database), *[len(each) if isinstance(each, list) else -1 for each in given]
        compiled = self._compiled.get(shape)
        if compiled is None:
            compiled = self._compiled[shape] = self._compile(given)
        values = [
            each.value(given) if isinstance(each, _Parameter) else each for each in compiled.values
        ]
        return compiled, database.execute_sql(compiled.sql, values)

    def _compile(self, given: Sequence[Any]) -> _Compiled:
        query = self._build(
            *[
                [_Parameter(index, place) for place in range(len(each))]
                if isinstance(each, list)
                else _Parameter(index)
                for index, each in enumerate(given)
            ]
        )
        sql, values = db.obj.get_sql_context().sql(query).query()
        return _Compiled(sql, values, _loader(query) if _returns_rows(query) else None)


def _filled(values: list[Any]) -> list[Any]:
    """Up to a power of two, so that lists of many lengths need few texts: IN takes repetitions."""
    size = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))


def insert(*rows: Any) -> None:
    """Insert new rows of one table, all with the same columns set; one alone learns its id."""
    model: type[Model] = type(rows[0])
    names = tuple(rows[0].__data__)
    fields = [model._meta.fields[name] for name in names]
    values = [field.db_value(row.__data__[field.name]) for row in rows for field in fields]
    cursor = _insertion(model, names).cursor(*values)
    if len(rows) == 1 and model._meta.auto_increment:
        rows[0]._pk = cursor.lastrowid if is_sqlite() else cursor.fetchone()[0]
    for row in rows:
        row._dirty.clear()


def update(model: type[Model], changes: Mapping[str, Any], **where: Any) -> int:
    """Set columns of the rows in which others have the values of `where`; how many there are."""
    fields = [model._meta.fields[name] for name in changes]
    new = [field.db_value(changes[field.name]) for field in fields]
    return _update(model, tuple(changes), tuple(where)).run(*new, *where.values())


@cache
def _insertion(model: type[Model], names: tuple[str, ...]) -> Statement[Any]:
    fields, width = [model._meta.fields[name] for name in names], len(names)

    def build(*values: Any) -> Any:
        each = [values[start : start + width] for start in range(0, len(values), width)]
        return model.insert_many([dict(zip(fields, row, strict=True)) for row in each])

    return Statement(build)


@cache
def _update(model: type[Model], names: tuple[str, ...], where: tuple[str, ...]) -> Statement[Any]:
    fields = model._meta.fields

    def build(*values: Any) -> Any:
        changes = dict(zip([fields[name] for name in names], values, strict=False))
        conditions = zip(where, values[len(names) :], strict=True)
        return model.update(changes).where(*[fields[name] == each for name, each in conditions])

    return Statement(build)


def _returns_rows(query: Any) -> bool:
    return isinstance(query, peewee.SelectBase) or bool(query._returning)


def _loader(query: Any) -> Callable[[Sequence[Any]], Any]:
    is_tuple = query._row_type == peewee.ROW.TUPLE
    while isinstance(query, peewee.CompoundSelectQuery):
        query = query.lhs
    return _tuple_loader(query) if is_tuple else _model_loader(query)


def _tuple_loader(query: Any) -> Callable[[Sequence[Any]], Any]:
    converters = [_converter(node.unwrap()) for node in query._returning]
    if not any(converters):
        return tuple
    return lambda row: tuple(
        value if convert is None else convert(value)
        for value, convert in zip(row, converters, strict=True)
    )


def _model_loader(query: Any) -> Callable[[Sequence[Any]], Any]:
    columns: dict[type[Model], list[tuple[str, int, Convert | None]]] = {}
    for index, field in enumerate(query._returning):
        columns.setdefault(field.model, []).append((field.name, index, _converter(field)))
    links = [
        (source, attribute, joined)
        for source, joins in getattr(query, "_joins", {}).items()
        for joined, attribute, *_ in joins
        if source in columns and joined in columns
    ]
    root = query.model

    def load(row: Sequence[Any]) -> Any:
        made = {model: _object(model, own, row) for model, own in columns.items()}
        for source, attribute, joined in links:
            found = made[joined]
            made[source].__rel__[attribute] = None if found._pk is None else found
        return made[root]

    return load


def _object(
    model: type[Model], columns: list[tuple[str, int, Convert | None]], row: Sequence[Any]
) -> Any:
    made: Any = model.__new__(model)
    made.__data__ = {
        name: row[index] if convert is None else convert(row[index])
        for name, index, convert in columns
    }
    made.__rel__, made._dirty = {}, set()
    return made


def _converter(node: Any) -> Convert | None:
    if not isinstance(node, Field) or type(node) in _AS_THEY_COME:
        return None
    convert: Convert = node.python_value
    return convert

"""Many copies of the rows of one scenario, written straight into the database."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from app.store.db import database
from app.store.models import (
    Booking,
    Client,
    HeldTime,
    LedgerLine,
    OutboxEmail,
    SignIn,
    StandingEntry,
    Table,
    Therapist,
    TimelineEntry,
    Window,
    Writing,
)

STRIDE = 10_000
"""Row `id` of the scenario is row `id + number * STRIDE` of copy `number`."""

_BATCH = 500
_COPIED: tuple[type[Table], ...] = (
    Therapist, Window, Client, Booking, HeldTime, TimelineEntry, LedgerLine, Writing,
    StandingEntry, OutboxEmail, SignIn,
)  # fmt: skip
_REFERENCE = re.compile(r"MB-[0-9A-Z]{6}")
_NUMBERED = re.compile(r"^(therapist|links)-(\d+)")

Row = dict[str, Any]


def copy(numbers: Iterable[int], only: Therapist | None = None) -> None:
    """Write all rows, or those of one therapist, once more for each number (from 1)."""
    is_in = _is_of(only) if only else lambda *_: True
    references: dict[str, int] = {}
    with database.db.atomic():
        for table in _COPIED:
            name = table._meta.table_name
            rows = [row for row in _rows(name) if row.get("id", 0) < STRIDE and is_in(table, row)]
            _insert(name, [_moved(row, number, references) for number in numbers for row in rows])
            if not database.is_sqlite() and rows and "id" in rows[0]:
                # Rows that are added later get ids after all copies.
                sequence = f"pg_get_serial_sequence('{name}', 'id')"
                database.db.execute_sql(f"SELECT setval({sequence}, (SELECT max(id) FROM {name}))")


def _is_of(therapist: Therapist) -> Callable[[type[Table], Row], bool]:
    theirs = list(Booking.select().where(Booking.therapist == therapist, Booking.id < STRIDE))
    bookings = {booking.id for booking in theirs}
    clients = {booking.client_id for booking in theirs}

    def is_in(table: type[Table], row: Row) -> bool:
        if table is Client:
            return row["id"] in clients
        if row.get("booking_id"):
            return row["booking_id"] in bookings
        return row["id" if table is Therapist else "therapist_id"] == therapist.id

    return is_in


def _rows(name: str) -> list[Row]:
    found = database.db.execute_sql(f"SELECT * FROM {name}")
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _insert(name: str, rows: list[Row]) -> None:
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        mark = f"({', '.join([str(database.db.obj.param)] * len(some[0]))})"
        columns = ", ".join(f'"{column}"' for column in some[0])
        values = [value for row in some for value in row.values()]
        marks = ", ".join([mark] * len(some))
        database.db.execute_sql(f'INSERT INTO "{name}" ({columns}) VALUES {marks}', values)


def _moved(row: Row, number: int, references: dict[str, int]) -> Row:
    return {column: _value(column, value, row, number, references) for column, value in row.items()}


def _value(column: str, value: Any, row: Row, number: int, references: dict[str, int]) -> Any:
    if value is None:
        return None
    if column == "id" or column.endswith("_id"):
        return value + number * STRIDE
    if column == "tie_seed":
        return value + number
    if column in ("email", "email_key", "slug", "key"):
        return f"s{number}.{value}" if "@" in value else f"s{number}-{value}"[:32]
    if column in ("about", "thread") and value.startswith("sign-in-"):
        return f"s{number}.{value}"
    if column in ("reference", "about", "thread"):
        return _NUMBERED.sub(
            lambda found: f"{found[1]}-{int(found[2]) + number * STRIDE}",
            _REFERENCE.sub(lambda found: _reference(found[0], number, references), value),
        )
    if column == "facts" and '"key"' in value:
        return re.sub(r'("key": ")([^"]+)', lambda f: f[1] + f"s{number}-{f[2]}"[:32], value)
    return value


def _reference(of: str, number: int, references: dict[str, int]) -> str:
    """Made from the copy and the booking."""
    return numbered_reference(number * 500 + references.setdefault(of, len(references)))


def numbered_reference(number: int) -> str:
    """A reference of the usual form."""
    alphabet, suffix = "23456789ABCDEFGHJKMNPQRSTVWXYZ", ""
    for _ in range(6):
        number, place = divmod(number, len(alphabet))
        suffix = alphabet[place] + suffix
    return f"MB-{suffix}"

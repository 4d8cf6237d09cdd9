"""What a database holds, byte by byte."""

from pathlib import Path

from app.store.db import database
from app.store.models import TABLES


def whole_database() -> str:
    """Every byte of the database's file and write-ahead log, or every row of every table."""
    if database.is_sqlite():
        path = Path(database.db.obj.database)
        files = [path, path.with_name(path.name + "-wal")]
        return "".join(each.read_bytes().decode("latin-1") for each in files if each.exists())
    names = [table._meta.table_name for table in TABLES]
    rows = [
        database.db.execute_sql(f'SELECT "{name}"::text FROM "{name}"').fetchall() for name in names
    ]
    return "\n".join(row[0] for table in rows for row in table)

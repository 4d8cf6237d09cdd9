"""Rewrites a database's files, so that they hold nothing but the rows that are there."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import peewee

from app.store.db import errors
from app.store.db.database import connection, db, drop_log, is_sqlite
from app.store.db.sqlite import SqliteFile, write_lock

# PostgreSQL keeps everybody else from a table while it is rewritten, and from the moment at which
# it begins to wait for it.
_LOCK_WAIT = "5s"


def rewrite(tables: Sequence[str]) -> list[str]:
    """The tables that another transaction kept locked, which are as they were.

    Raises StoreUnavailable.
    """
    with connection():
        if not is_sqlite():
            return _rewrite_postgresql(tables)
        with write_lock(db.obj.path):
            db.execute_sql("VACUUM")
        drop_log()
        return []


def log_size() -> int:
    """The bytes of SQLite's write-ahead log."""
    file: SqliteFile = db.obj
    log = Path(f"{file.path}-wal")
    return log.stat().st_size if log.exists() else 0


def _rewrite_postgresql(tables: Sequence[str]) -> list[str]:
    locked = []
    with db.obj.without_limits():
        db.execute_sql(f"SET lock_timeout = '{_LOCK_WAIT}'")
        try:
            # The statistics hold samples of values, and are rows of a table themselves.
            for table in (*(f'"{each}"' for each in tables), "pg_catalog.pg_statistic"):
                try:
                    db.execute_sql(f"VACUUM (FULL, ANALYZE) {table}")
                except peewee.OperationalError as error:
                    if not errors.is_lock_timeout(error):
                        raise
                    locked.append(table.strip('"'))
        finally:
            db.execute_sql("RESET lock_timeout")
        # The files of before stay until a checkpoint, which only some roles may ask for.
        with suppress(peewee.ProgrammingError):
            db.execute_sql("CHECKPOINT")
    return locked

"""Connections, transactions, and the meaning of database errors."""

import sys
from importlib import import_module
from typing import Any

_DRIVER = "psycopg"


def _import_peewee() -> None:
    # It imports every driver that it finds. On SQLite PostgreSQL's would be a fifth of a web
    # worker's memory; app/store/db/postgresql.py imports it where it is used.
    modules: dict[str, Any] = sys.modules
    is_used = modules.setdefault(_DRIVER, None) is not None
    for name in ("peewee", "playhouse.migrations"):
        import_module(name)
    if not is_used:
        del modules[_DRIVER]


_import_peewee()

"""The statements of a use case, recorded once, and run by the driver alone: what a floor is."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from app.store.db import database
from app.store.db.database import db

Recorded = list[tuple[str, list[Any]]]


@contextmanager
def recorded() -> Iterator[Recorded]:
    """Statements and values of what runs in the block, BEGIN and COMMIT too."""
    seen: Recorded = []
    server = db.obj
    execute, begin, commit = server.execute_sql, server.begin, server.commit

    def noted_execute(sql: str, values: Any = None) -> Any:
        seen.append((sql, list(values or [])))
        return execute(sql, values)

    def noted_begin(*given: Any) -> Any:
        seen.append(("BEGIN IMMEDIATE" if database.is_sqlite() else "BEGIN", []))
        return begin(*given)

    def noted_commit() -> Any:
        seen.append(("COMMIT", []))
        return commit()

    server.execute_sql, server.begin, server.commit = noted_execute, noted_begin, noted_commit
    try:
        yield seen
    finally:
        del server.execute_sql, server.begin, server.commit


class Raw:
    """Runs recorded statements, each thread on a connection of its own."""

    def __init__(self, url: str, statements: Recorded) -> None:
        self._url, self._statements = url, statements
        self._own = threading.local()

    def run(self, instead: Mapping[Any, Any]) -> None:
        """With other values in the place of some; the whole is one use of the case."""
        execute = self._execute()
        for sql, values in self._statements:
            cursor = execute(sql, [instead.get(each, each) for each in values])
            if cursor.description:
                cursor.fetchall()

    def _execute(self) -> Callable[..., Any]:
        if not hasattr(self._own, "connection"):
            self._own.connection = self._connect()
        execute: Callable[..., Any] = self._own.connection.execute
        return execute

    def _connect(self) -> Any:
        if not self._url.startswith("sqlite:///"):
            return psycopg.connect(self._url, autocommit=True, prepare_threshold=None)
        path = self._url.removeprefix("sqlite:///")
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = 1")
        return connection

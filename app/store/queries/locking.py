"""Row locks until the commit: PostgreSQL's FOR UPDATE; SQLite's write transaction is the lock."""

from typing import TypeVar

from peewee import Model, ModelSelect

from app.store.db.database import is_sqlite

M = TypeVar("M", bound=Model)


def locking(query: "ModelSelect[M]", *, skip_locked: bool = False) -> "ModelSelect[M]":
    if is_sqlite():
        return query
    # NO KEY: inserting a row that refers to a locked one need not wait.
    clause = "FOR NO KEY UPDATE SKIP LOCKED" if skip_locked else "FOR NO KEY UPDATE"
    return query.for_update(clause)  # type: ignore[arg-type] # the stubs know True only

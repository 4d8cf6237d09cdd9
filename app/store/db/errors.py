"""Which database errors are the world's doing rather than ours, and which allow another try."""

import sqlite3
from collections.abc import Iterator

import peewee
import psycopg

DATABASE_ERRORS = (peewee.PeeweeException, psycopg.Error, sqlite3.Error)
"""All that may come out of a query: peewee lets the driver's own pass while rows are read."""

# The server rolled everything back: a serialization failure, a deadlock.
_ROLLED_BACK = frozenset({"40001", "40P01"})
_OUTSIDE_CLASSES = ("08", "28", "40", "53", "57", "58", "XX")
_OUTSIDE_STATES = frozenset(
    {
        "25006",  # the transaction, or the whole database, is read-only
        "25P03",  # the server ended a transaction that sat idle
        "25P04",  # ... or that lasted too long
        "3D000",  # there is no such database
        "55006",  # object in use
        "55P03",  # a lock did not come in time
    }
)
_OUTSIDE_SQLITE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOTADB,
    }
)


class Unreachable(peewee.OperationalError):
    """No connection could be made, or none was free."""


class ConnectionLost(peewee.OperationalError):
    """The connection was lost before the commit was sent: the server undoes what was begun."""


class CommitUnknown(peewee.OperationalError):
    """The connection was lost while committing: it may be done, and it may not."""


class ServerSilent(psycopg.OperationalError):
    """The server has not answered a statement within the limit."""


def is_outside(error: BaseException) -> bool:
    """Whether the environment is at fault (down, full, locked, read-only), not our statement."""
    return any(_is_outside(each) for each in _chain(error))


def is_rolled_back(error: BaseException) -> bool:
    """Whether the database undid everything, so that the same work may simply be done again."""
    return any(
        isinstance(each, ConnectionLost) or getattr(each, "sqlstate", None) in _ROLLED_BACK
        for each in _chain(error)
    )


def reason(error: BaseException) -> str:
    """What the database said, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of: peewee's hides the driver's, and undoing may fail as well."""
    while isinstance(error, DATABASE_ERRORS):
        yield error
        error = error.__cause__ or error.__context__


def _is_outside(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind; what is above it only says more.
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OUTSIDE_SQLITE
    if isinstance(error, Unreachable | ConnectionLost | CommitUnknown):
        return True
    state = getattr(error, "sqlstate", None)
    if state is None:
        # The driver itself says so: nothing came from the server that would have a state.
        return isinstance(error, psycopg.OperationalError)
    return state in _OUTSIDE_STATES or state.startswith(_OUTSIDE_CLASSES)

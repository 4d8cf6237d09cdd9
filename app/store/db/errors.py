"""Classifies database errors: environment or bug, retryable or not, and which key was violated."""

import sqlite3
from collections.abc import Iterator
from enum import StrEnum

import peewee

# peewee wraps the driver's errors, except those raised while rows are fetched. The last one becomes
# PostgreSQL's driver's when that is imported, so read this where an error is met.
DATABASE_ERRORS: tuple[type[Exception], type[Exception], type[Exception]] = (
    peewee.PeeweeException,
    sqlite3.Error,
    sqlite3.Error,
)
# Without a SQLSTATE these come from the driver, not from the server.
DRIVER_FAULTS: tuple[type[Exception], ...] = ()


class Key(StrEnum):
    """Unique keys whose violation has a meaning for callers; values are PostgreSQL's names."""

    THERAPIST_SLUG = "therapist_slug"
    THERAPIST_ADDRESS = "therapist_email_key"
    HELD_TIME = "held_time_pkey"
    FREE_CONSULTATION = "booking_one_free_consultation"


# SQLite reports the columns of the key instead of its name.
_SQLITE_COLUMNS = {
    "therapist.slug": Key.THERAPIST_SLUG,
    "therapist.email_key": Key.THERAPIST_ADDRESS,
    "held_time.therapist_id, held_time.cell_at": Key.HELD_TIME,
    "booking.therapist_id, booking.client_id": Key.FREE_CONSULTATION,
}
_SQLITE_PREFIX = "UNIQUE constraint failed: "

# The server rolled everything back: a serialization failure, a deadlock.
_ROLLED_BACK = frozenset({"40001", "40P01"})
# SQLSTATE classes: connection, authorization, rollback, resources, intervention, system, internal.
_ENVIRONMENT_CLASSES = ("08", "28", "40", "53", "57", "58", "XX")
_ENVIRONMENT_STATES = frozenset(
    {
        "25006",  # the transaction, or the whole database, is read-only
        "25P03",  # the server ended an idle transaction
        "25P04",  # the server ended a transaction that took too long
        "3D000",  # the database does not exist
        "55006",  # object in use
        "55P03",  # lock_timeout passed
    }
)
_ENVIRONMENT_SQLITE = frozenset(
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
    """No connection could be opened, or none was free."""


class ConnectionLost(peewee.OperationalError):
    """The connection was lost before the commit was sent, so the server rolls back."""


class CommitUnknown(peewee.OperationalError):
    """The connection was lost while committing: the commit may or may not have happened."""


def violated(error: peewee.IntegrityError) -> Key | None:
    """The unique key that a statement violated; None for any other constraint."""
    driver_error = getattr(error, "orig", None)
    if (diagnosis := getattr(driver_error, "diag", None)) is not None:
        name = diagnosis.constraint_name
        return Key(name) if name in set(Key) else None
    return _SQLITE_COLUMNS.get(str(driver_error).removeprefix(_SQLITE_PREFIX))


def is_environmental(error: BaseException) -> bool:
    """Whether the environment is at fault (down, full, locked, read-only), not our statement."""
    return any(_is_environmental(each) for each in _chain(error))


def is_rolled_back(error: BaseException) -> bool:
    return any(
        isinstance(each, ConnectionLost) or getattr(each, "sqlstate", None) in _ROLLED_BACK
        for each in _chain(error)
    )


def is_lock_timeout(error: BaseException) -> bool:
    return any(getattr(each, "sqlstate", None) == "55P03" for each in _chain(error))


def reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # peewee's error hides the driver's, and a failed rollback hides the error that caused it.
    while isinstance(error, DATABASE_ERRORS):
        yield error
        error = error.__cause__ or error.__context__


def _is_environmental(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        # The low byte is the error's kind; the higher ones are details.
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _ENVIRONMENT_SQLITE
    if isinstance(error, Unreachable | ConnectionLost | CommitUnknown):
        return True
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, DRIVER_FAULTS)
    return state in _ENVIRONMENT_STATES or state.startswith(_ENVIRONMENT_CLASSES)

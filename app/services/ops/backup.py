"""Backs up a SQLite database while it is in use, and puts a backup in its place."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import peewee
import structlog

from app import config
from app.errors import DomainError
from app.services.ops import acts, backup_cipher, erasures
from app.store import outbox
from app.store.db import database
from app.store.db.sqlite import lock_file, write_lock
from app.store.models import Hold, OutboxEmail, OutboxStatus, SignIn, SignInSession

# Seconds that SQLite waits for a lock.
BUSY_S = 30.0

# The low byte of SQLite's error code is the kind of error.
_KIND = 0xFF
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HEADER = b"SQLite format 3\0"
_COMPANIONS = ("-wal", "-shm", "-journal")
_TEMPORARY = ("", *_COMPANIONS, ".lock")

_log = structlog.get_logger("mindsum")


class BackupRefused(DomainError):
    """What was asked for cannot be done; nothing was changed."""

    code = "backup_refused"


class BackupFailed(BackupRefused):
    """The machine or the live database is at fault; nothing was changed."""

    code = "backup_failed"
    is_fault = True


@dataclass(frozen=True, slots=True)
class Restored:
    """`steps`: the schema steps it lacked. `set_aside`: where the old file is kept, or None.

    `erased_again`: clients who had been erased since the backup.
    """

    bookings: int
    emails_waiting: int
    steps: list[str]
    erased_again: int
    set_aside: str | None = None


def live_file() -> Path:
    if not database.is_sqlite():
        raise BackupRefused("This is for SQLite; for PostgreSQL use pg_dump and pg_restore.")
    return Path(database.db.obj.database)


def backup(path: Path) -> int:
    """The new file's size in bytes; only its owner may read it. Raises BackupRefused."""
    live = live_file()
    if os.path.lexists(path):
        raise BackupRefused(f"{path} exists already; name a new file.")
    if not live.exists():
        raise BackupFailed(f"There is no database at {live}.")
    keys = config.current().backup_key
    # What is not encrypted yet stays beside the database: `path` may be on another machine.
    with (
        _temporary_file_beside(path) as target,
        _temporary_file_beside(live if keys else path) as copy,
    ):
        try:
            _copy(live, copy)
            _check(copy)
        except BackupRefused as error:
            raise BackupFailed(str(error)) from error
        if keys:
            backup_cipher.encrypt(copy, target, keys[0])
        (target if keys else copy).rename(path)
    size = path.stat().st_size
    _log.info("backup_made", bytes=size)
    return size


def restore(path: Path, into: Path, now: datetime, *, replace: bool = False) -> Restored:
    """Put a backup in place of the database `into`, with a current schema and a held outbox.

    Raises BackupRefused where the file is no sound backup, where a process has `into` open at
    this moment, or where `into` holds anything and `replace` is False; StoreUnavailable where a
    write keeps its lock.
    """
    if not _is_file(path):
        raise BackupRefused(f"There is no file {path}.")
    if into.exists() and path.samefile(into):
        raise BackupRefused(f"{path} is the database itself.")
    if not replace and not _is_empty(into):
        raise BackupRefused(f"The database at {into} is not empty; it would be replaced.")
    with suppress(OSError):
        into.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_file_beside(into) as copy, _decrypted(path, into) as source:
        _copy(source, copy)
        _check(copy)
        steps = _upgrade_and_hold(copy, now)
        with database.using_file(copy):
            erased = erasures.erase_again(now)
            acts.record("db_restore", now)
        bookings = _count(copy, "booking")
        waiting = _count(copy, "outbox_email WHERE status IN ('queued', 'sending')")
        with write_lock(into):
            set_aside = _replace(into, copy, now)
    _log.warning(
        "backup_restored", bookings=bookings, waiting=waiting, erased=erased, set_aside=set_aside
    )
    return Restored(bookings, waiting, steps, erased, set_aside)


@contextmanager
def _temporary_file_beside(path: Path) -> Iterator[Path]:
    # In the same folder, so that it can be renamed; readable by its owner only.
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}.") from error
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for suffix in _TEMPORARY:
            Path(name + suffix).unlink(missing_ok=True)


@contextmanager
def _decrypted(path: Path, into: Path) -> Iterator[Path]:
    if not backup_cipher.is_encrypted(path):
        yield path
        return
    with _temporary_file_beside(into) as plain:
        try:
            backup_cipher.decrypt(path, plain, config.current().backup_key)
        except backup_cipher.CannotDecrypt as error:
            raise BackupRefused(f"{path} cannot be decrypted: {error}.") from None
        yield plain


def _copy(source: Path, target: Path) -> None:
    def stop_if_locked(status: int, _remaining: int, _pages: int) -> None:
        # SQLite has waited for BUSY_S by then; Python would begin again, without end.
        if status & _KIND in _BUSY:
            raise BackupFailed(
                f"{source} could not be copied: another program has locked it for {BUSY_S:g} s."
            )

    try:
        with closing(_open(source)) as one, closing(_open(target)) as other:
            one.backup(other, pages=-1, progress=stop_if_locked)
    except sqlite3.Error as error:
        raise _error_for(f"{source} could not be copied to {target}", error) from error


def _check(path: Path) -> None:
    try:
        with closing(_open(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise _error_for("That is no sound SQLite database", error) from error
    if verdict != "ok":
        raise BackupRefused(f"That database is damaged: {verdict}.")
    if orphan is not None:
        raise BackupRefused(f"That database is damaged: {orphan[0]} lacks its {orphan[2]}.")
    if not {"booking", "outbox_email", "ledger_line"} <= tables:
        raise BackupRefused("That database is not one of Mindsum Bookings.")


def _upgrade_and_hold(path: Path, now: datetime) -> list[str]:
    """Returns the schema steps that were lacking."""
    other = peewee.SqliteDatabase(str(path))
    tables = [Hold, OutboxEmail, SignIn, SignInSession]
    with other.connection_context(), other.bind_ctx(tables):
        try:
            steps = database.upgrade_file(other)
        except ValueError as error:
            raise BackupRefused(f"That backup cannot be used: {error}.") from None
        Hold.insert(name=outbox.OUTBOX, at=now).on_conflict_ignore().execute()
        # No scheduler has the emails any more that were claimed when the backup was made.
        claimed = OutboxEmail.status == OutboxStatus.SENDING
        OutboxEmail.update(
            status=OutboxStatus.QUEUED, lease_token=None, due_at=OutboxEmail.created_at
        ).where(claimed).execute()
        # Those who signed out since the backup would be signed in again.
        SignInSession.delete().execute()
        SignIn.update(used_at=now).where(SignIn.used_at.is_null()).execute()
    return steps


def _replace(into: Path, copy: Path, now: datetime) -> str | None:
    """Returns where the replaced file is kept."""
    _require_unused(into)
    aside = into.with_name(f"{into.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    if os.path.lexists(aside):
        raise BackupFailed(f"{aside} exists already; move it away.")
    had_file = into.exists()
    try:
        if had_file:
            shutil.copymode(into, copy)
            # The person who restores may be another user than the service.
            for file in (copy, lock_file(into)):
                with suppress(PermissionError):
                    shutil.chown(file, into.stat().st_uid, into.stat().st_gid)
        # The log of the old database would damage the new one.
        for suffix in ("", *_COMPANIONS):
            with suppress(FileNotFoundError):
                Path(f"{into}{suffix}").rename(f"{aside}{suffix}")
        copy.rename(into)
    except OSError as error:
        raise BackupFailed(f"{into} could not be replaced: {error.strerror}.") from error
    return str(aside) if had_file else None


def _require_unused(path: Path) -> None:
    """Raise BackupRefused if another process has the database open."""
    if not _has_sqlite_header(path):
        return
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            # SQLite ends write-ahead logging only for the last connection.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        # A damaged file is of no use to any process.
        if error.sqlite_errorcode & _KIND not in _DAMAGED:
            in_use = f"{path} is in use; stop web and scheduler first"
            raise BackupRefused(f"{in_use} ({error}).") from error


def _has_sqlite_header(path: Path) -> bool:
    # SQLite itself would delete the log beside a file that has none.
    with suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER
    return False


def _is_empty(path: Path) -> bool:
    if not _has_sqlite_header(path):
        return not path.exists() or path.stat().st_size == 0
    try:
        with closing(_open(path)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        return not any(_count(path, name) for name in tables & {"therapist", "client", "booking"})
    except sqlite3.Error:
        return False


def _is_file(path: Path) -> bool:
    # OSError: the name is too long, or the folder may not be read.
    with suppress(OSError):
        return path.is_file()
    return False


def _count(path: Path, rows: str) -> int:
    with closing(_open(path)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608 - ours
    return int(count)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_S)


def _error_for(what: str, error: sqlite3.Error) -> BackupRefused:
    is_damaged = getattr(error, "sqlite_errorcode", 0) & _KIND in _DAMAGED
    return (BackupRefused if is_damaged else BackupFailed)(f"{what}: {error}.")

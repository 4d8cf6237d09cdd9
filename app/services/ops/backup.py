"""Backing up a SQLite database while it is in use, and putting a backup in its place."""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import peewee
import structlog

from app.services.ops import placing
from app.services.ops.placing import BackupFailed, BackupRefused
from app.store import outbox
from app.store.db import database
from app.store.db.sqlite import write_lock
from app.store.models import Hold, OutboxEmail, OutboxStatus

BUSY_SECONDS = 30.0
"""How long to wait for whoever else writes."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OWNER_ONLY = 0o600

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place: its bookings, the emails still queued, the schema steps it lacked.

    `set_aside` is the file that keeps what stood there before, where that was past reading.
    """

    bookings: int
    emails_waiting: int
    steps: list[str]
    set_aside: str | None = None


def backup(path: Path) -> int:
    """Write the bound database, as it is at this moment, to a new file; its size in bytes.

    Writers go on meanwhile. The file is readable by its owner only: it holds people's addresses.
    Raises BackupRefused; as BackupFailed where the database itself cannot be copied.
    """
    live = live_file()
    if os.path.lexists(path):
        raise BackupRefused(f"{path} exists already; name a new file.")
    if not live.exists():
        raise BackupFailed(f"There is no database at {live}.")
    with placing.beside(path) as made:
        try:
            _copy(live, made)
            _check(made)
        except BackupRefused as error:
            raise BackupFailed(str(error)) from error
        placing.name(made, path)
    size = path.stat().st_size
    _log.info("backup_made", bytes=size)
    return size


def restore(path: Path, into: Path, now: datetime, *, replace: bool = False) -> Restored:
    """Put a backup in place of the database `into`, its schema current and its outbox held.

    All of it takes effect at once, also for processes that have the database open; until then
    nothing has changed. A ruin of a database, which no process can use, is set aside. Raises
    BackupRefused where the file is no sound backup of ours, or where `into` holds anything and
    `replace` was not said.
    """
    if not _is_file(path):
        raise BackupRefused(f"There is no file {path}.")
    if into.exists() and path.samefile(into):
        raise BackupRefused(f"{path} is the database itself.")
    if not replace and not _is_empty(into):
        raise BackupRefused(f"The database at {into} is not empty; it would be replaced.")
    with suppress(OSError):
        into.parent.mkdir(parents=True, exist_ok=True)
    with placing.beside(into) as made:
        _copy(path, made)
        _check(made)
        steps = _prepare(made, now)
        bookings, waiting = _count(made, "booking"), _count_waiting(made)
        with write_lock(into):
            set_aside = _put_in_place(made, into, now)
    _log.warning("backup_restored", bookings=bookings, waiting=waiting, set_aside=set_aside)
    return Restored(bookings, waiting, steps, set_aside)


def _put_in_place(made: Path, into: Path, now: datetime) -> str | None:
    if placing.is_ruin(into):
        return str(placing.replace_ruin(made, into, now))
    with suppress(FileExistsError):
        into.touch(_OWNER_ONLY, exist_ok=False)
    _copy(made, into)
    return None


def _prepare(made: Path, now: datetime) -> list[str]:
    """Bring a copy's schema up to date and hold its outbox; the steps it lacked.

    Emails that some worker had in hand wait again, since they were written: nobody has them here.
    """
    other = peewee.SqliteDatabase(str(made))
    with other.connection_context(), other.bind_ctx([Hold, OutboxEmail]):
        try:
            steps = database.upgrade_file(other)
        except ValueError as error:
            raise BackupRefused(f"That backup cannot be used: {error}.") from None
        # Not outbox.hold: that looks for the bound database, which may be what was lost.
        Hold.insert(name=outbox.OUTBOX, at=now).on_conflict_ignore().execute()
        waiting = {"status": OutboxStatus.QUEUED, "lease_token": None}
        in_hand = OutboxEmail.status == OutboxStatus.SENDING
        OutboxEmail.update(due_at=OutboxEmail.created_at, **waiting).where(in_hand).execute()
    return steps


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    # No such name can be, or nobody may look.
    return False


def live_file() -> Path:
    """The file of the bound database. Raises BackupRefused where that is PostgreSQL."""
    if not database.is_sqlite():
        raise BackupRefused("This is for SQLite; for PostgreSQL use pg_dump and pg_restore.")
    return Path(database.db.obj.database)


def _copy(source: Path, target: Path) -> None:
    """All pages as of one moment, in one transaction of the target."""

    def give_up_if_locked(status: int, _remaining: int, _pages: int) -> None:
        # SQLite has waited BUSY_SECONDS by then; Python would begin again, without end.
        if status & placing.PRIMARY in _BUSY:
            raise BackupFailed(
                f"{source} could not be copied to {target}: another program has kept one of them"
                f" locked for {BUSY_SECONDS:g} s."
            )

    try:
        with closing(_open(source)) as one, closing(_open(target)) as other:
            one.backup(other, pages=-1, progress=give_up_if_locked)
    except sqlite3.Error as error:
        raise _wrong(f"{source} could not be copied to {target}", error) from error


def _wrong(what: str, error: sqlite3.Error) -> BackupRefused:
    kind = BackupRefused if placing.tells_of_ruin(error) else BackupFailed
    return kind(f"{what}: {error}.")


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS)


def _check(path: Path) -> None:
    """Raises BackupRefused unless this is a sound database of ours."""
    try:
        with closing(_open(path)) as opened:
            (verdict,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
            orphan = opened.execute("PRAGMA foreign_key_check").fetchone()
            names = {row[0] for row in opened.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise _wrong("That is no sound SQLite database", error) from error
    if verdict != "ok":
        raise BackupRefused(f"That database is damaged: {verdict}.")
    if orphan is not None:
        raise BackupRefused(f"That database is damaged: {orphan[0]} lacks its {orphan[2]}.")
    if not {"booking", "outbox_email", "ledger_line"} <= names:
        raise BackupRefused("That database is not one of Mindsum Bookings.")


def _is_empty(path: Path) -> bool:
    if not path.exists():
        return True
    if placing.is_ruin(path):
        return False
    with suppress(sqlite3.Error), closing(_open(path)) as opened:
        tables = {row[0] for row in opened.execute("SELECT name FROM sqlite_master")}
        mine = tables & {"therapist", "client", "booking"}
        return not any(opened.execute(f"SELECT 1 FROM {name}").fetchone() for name in mine)  # noqa: S608 - three fixed names
    return False


def _count(path: Path, table: str, where: str = "1 = 1") -> int:
    with closing(_open(path)) as opened:
        found = opened.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # noqa: S608 - ours
    return int(found[0])


def _count_waiting(path: Path) -> int:
    return _count(path, "outbox_email", "status IN ('queued', 'sending')")

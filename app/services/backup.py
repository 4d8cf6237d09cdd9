"""Backing up a SQLite database while it is in use, and putting a backup in its place."""

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

from app.errors import DomainError
from app.store import database, outbox
from app.store.models import Hold

BUSY_SECONDS = 30.0
"""How long to wait for whoever else writes."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OWNER_ONLY = 0o600
_COMPANIONS = ("-wal", "-shm", "-journal")
_RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF
"""The bits of SQLite's error code without its finer distinctions."""

_log = structlog.get_logger("mindsum")


class BackupRefused(DomainError):
    """No backup was made, or none put in place: nothing was changed."""

    code = "backup_refused"


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
    Raises BackupRefused.
    """
    live = live_file()
    if path.exists():
        raise BackupRefused(f"{path} exists already; name a new file.")
    if not live.exists():
        raise BackupRefused(f"There is no database at {live}.")
    with _beside(path) as made:
        _copy(live, made)
        _check(made)
        _name(made, path)
    size = path.stat().st_size
    _log.info("backup_made", bytes=size)
    return size


def _name(made: Path, path: Path) -> None:
    try:
        # Takes the name from anyone else who wants it now; not every filesystem can link.
        path.touch(_OWNER_ONLY, exist_ok=False)
    except FileExistsError:
        raise BackupRefused(f"{path} exists already; name a new file.") from None
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}.") from error
    try:
        made.replace(path)
    except OSError as error:
        path.unlink()
        raise BackupRefused(f"{path} cannot be written: {error.strerror}.") from error


def restore(path: Path, into: Path, now: datetime, *, replace: bool = False) -> Restored:
    """Put a backup in place of the database `into`, its schema current and its outbox held.

    All of it takes effect at once, also for processes that have the database open; until then
    nothing has changed. A ruin of a database, which no process can use, is set aside. Raises
    BackupRefused where the file is no sound backup of ours, or where `into` holds anything and
    `replace` was not said.
    """
    if not path.is_file():
        raise BackupRefused(f"There is no file {path}.")
    if into.exists() and path.samefile(into):
        raise BackupRefused(f"{path} is the database itself.")
    if not replace and not _is_empty(into):
        raise BackupRefused(f"The database at {into} is not empty; it would be replaced.")
    with suppress(OSError):
        into.parent.mkdir(parents=True, exist_ok=True)
    with _beside(into) as made:
        _copy(path, made)
        _check(made)
        steps = _prepare(made, now)
        bookings, waiting = _count(made, "booking"), _count_waiting(made)
        with database.alone_in_writing(into):
            set_aside = _put_in_place(made, into, now)
    _log.warning("backup_restored", bookings=bookings, waiting=waiting, set_aside=set_aside)
    return Restored(bookings, waiting, steps, set_aside)


def _put_in_place(made: Path, into: Path, now: datetime) -> str | None:
    if _is_ruin(into):
        return str(_replace_ruin(made, into, now))
    with suppress(FileExistsError):
        into.touch(_OWNER_ONLY, exist_ok=False)
    _copy(made, into)
    return None


def _is_ruin(path: Path) -> bool:
    """Whether SQLite cannot read what is there; looking changes nothing, not even a log."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode & _PRIMARY in _RUINED
    return False


def _replace_ruin(made: Path, into: Path, now: datetime) -> Path:
    """Give the place of a file that SQLite cannot read to `made`; where the old one is kept."""
    aside = into.with_name(f"{into.name}.ruined-{now:%Y%m%dT%H%M%SZ}")
    try:
        os.link(into, aside)
        # Its log is not the new one's, which would otherwise be ruined by it.
        for suffix in _COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{into}{suffix}").rename(f"{aside}{suffix}")
        shutil.copymode(into, made)
        made.replace(into)
    except OSError as error:
        raise BackupRefused(f"{into} could not be set aside: {error.strerror}.") from error
    return aside


def _prepare(made: Path, now: datetime) -> list[str]:
    """Bring a copy's schema up to date and hold its outbox; the steps it lacked."""
    other = peewee.SqliteDatabase(str(made))
    with other.connection_context(), other.bind_ctx([Hold]):
        try:
            steps = database.upgrade_file(other)
        except ValueError as error:
            raise BackupRefused(f"That backup cannot be used: {error}.") from None
        # Not outbox.hold: that looks for the bound database, which may be what was lost.
        Hold.insert(name=outbox.OUTBOX, at=now).on_conflict_ignore().execute()
    return steps


def live_file() -> Path:
    """The file of the bound database. Raises BackupRefused where that is PostgreSQL."""
    if not database.is_sqlite():
        raise BackupRefused("This is for SQLite; for PostgreSQL use pg_dump and pg_restore.")
    return Path(database.db.obj.database)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A private file to work on, in the folder of `path`; gone afterwards."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise BackupRefused(f"{path.parent} cannot be written: {error.strerror}.") from error
    os.close(handle)
    made = Path(name)
    try:
        yield made
    finally:
        for suffix in ("", *_COMPANIONS):
            made.with_name(made.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """All pages as of one moment, in one transaction of the target."""

    def give_up_if_locked(status: int, _remaining: int, _pages: int) -> None:
        # SQLite has waited BUSY_SECONDS by then; Python would begin again, without end.
        if status & _PRIMARY in _BUSY:
            raise BackupRefused(
                f"{source} could not be copied to {target}: another program has kept one of them"
                f" locked for {BUSY_SECONDS:g} s."
            )

    try:
        with closing(_open(source)) as one, closing(_open(target)) as other:
            one.backup(other, pages=-1, progress=give_up_if_locked)
    except sqlite3.Error as error:
        raise BackupRefused(f"{source} could not be copied to {target}: {error}.") from error


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
        raise BackupRefused(f"That is no SQLite database: {error}.") from error
    if verdict != "ok":
        raise BackupRefused(f"That database is damaged: {verdict}.")
    if orphan is not None:
        raise BackupRefused(f"That database is damaged: {orphan[0]} lacks its {orphan[2]}.")
    if not {"booking", "outbox_email", "ledger_line"} <= names:
        raise BackupRefused("That database is not one of Mindsum Bookings.")


def _is_empty(path: Path) -> bool:
    if not path.exists():
        return True
    if _is_ruin(path):
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

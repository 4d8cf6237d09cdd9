"""Giving files their places: a finished copy its name, and a ruin of a database another one."""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from app.errors import DomainError

PRIMARY = 0xFF
"""The bits of SQLite's error code without its finer distinctions."""

_COMPANIONS = ("-wal", "-shm", "-journal")
_RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MISNAMED = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}
"""What is wrong with the place that was named, where everything else is with the machine."""


class BackupRefused(DomainError):
    """No backup was made, or none put in place: nothing was changed."""

    code = "backup_refused"


class BackupFailed(BackupRefused):
    """The same, and not for what was asked: the machine, or the live database, is at fault."""

    code = "backup_failed"


def unwritable(path: Path, error: OSError) -> BackupRefused:
    """What to raise where a path cannot be written."""
    kind = BackupRefused if error.errno in _MISNAMED else BackupFailed
    return kind(f"{path} cannot be written: {error.strerror}.")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A private file to work on, in the folder of `path`; gone afterwards. Raises BackupRefused."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise unwritable(path.parent, error) from error
    os.close(handle)
    made = Path(name)
    try:
        yield made
    finally:
        for suffix in ("", *_COMPANIONS):
            made.with_name(made.name + suffix).unlink(missing_ok=True)


def name(made: Path, path: Path) -> None:
    """Give a finished file its name, under which nothing else ever stands. Raises BackupRefused."""
    try:
        # Takes the name from anyone else who wants it now.
        os.link(made, path)
    except FileExistsError:
        raise BackupRefused(f"{path} exists already; name a new file.") from None
    except OSError:
        # Not every filesystem can link.
        if path.exists():
            raise BackupRefused(f"{path} exists already; name a new file.") from None
        try:
            made.replace(path)
        except OSError as error:
            raise unwritable(path, error) from error


def is_ruin(path: Path) -> bool:
    """Whether SQLite cannot read what is there; looking changes nothing, not even a log."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return tells_of_ruin(error)
    return False


def tells_of_ruin(error: sqlite3.Error) -> bool:
    """Whether SQLite says that what it reads is no database, or no longer one."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY in _RUINED


def replace_ruin(made: Path, into: Path, now: datetime) -> Path:
    """Give the place of a file that SQLite cannot read to `made`; where the old one is kept.

    Raises BackupFailed.
    """
    aside = into.with_name(f"{into.name}.ruined-{now:%Y%m%dT%H%M%SZ}")
    try:
        shutil.copymode(into, made)
        _keep_as(aside, into)
        # Its log is not the new one's, which would otherwise be ruined by it.
        for suffix in _COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{into}{suffix}").rename(f"{aside}{suffix}")
        made.replace(into)
    except OSError as error:
        raise BackupFailed(f"{into} could not be set aside: {error.strerror}.") from error
    return aside


def _keep_as(aside: Path, path: Path) -> None:
    try:
        # So that its own name is never without a file.
        os.link(path, aside)
    except FileExistsError:
        raise
    except OSError:
        if aside.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        path.rename(aside)

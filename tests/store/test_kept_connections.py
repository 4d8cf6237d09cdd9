"""On SQLite a thread keeps its connection, and notices when the path leads to another file."""

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import peewee
import pytest

from app.errors import StoreUnavailable
from app.store.db import database
from app.store.db.database import db, in_transaction
from tests.scenarios.cast import Cast, headline, rename

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def idle(cast: Cast, database_url: str) -> Path:
    """The file of a database that this thread has used and does not use now."""
    in_transaction(rename)("before")
    db.close()
    return Path(database_url.removeprefix("sqlite:///"))


def used() -> Any:
    with database.connection():
        return db.connection()


def test_a_thread_keeps_one_connection_and_sets_it_up_once(
    idle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = used()
    monkeypatch.setattr(sqlite3, "connect", None)
    assert used() is first
    in_transaction(rename)("after")
    assert first.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_each_thread_has_its_own(idle: Path) -> None:
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(used()))
    thread.start()
    thread.join()
    assert other[0] is not used()


def test_a_file_that_takes_the_place_of_another_is_read_by_the_next_use(idle: Path) -> None:
    copy = idle.with_name("copy.db")
    with sqlite3.connect(idle) as one, sqlite3.connect(copy) as other:
        one.backup(other)
    other.execute("UPDATE therapist SET headline = 'restored'")
    other.commit()
    for each in (one, other):
        each.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{idle}{suffix}").unlink(missing_ok=True)
    copy.replace(idle)
    assert headline() == "restored"
    in_transaction(rename)("after")
    assert headline() == "after"


def test_a_file_that_is_gone_is_missed_at_once_and_used_again_when_it_is_back(idle: Path) -> None:
    away = idle.with_name("away")
    away.mkdir()
    names = [each.name for each in idle.parent.glob(f"{idle.name}*")]
    for name in names:
        shutil.move(idle.with_name(name), away / name)
    with pytest.raises(StoreUnavailable, match="there is no database at"):
        in_transaction(rename)("lost")
    for name in names:
        shutil.move(away / name, idle.with_name(name))
    in_transaction(rename)("after")
    assert headline() == "after"


def test_a_connection_that_met_a_fault_is_not_kept(idle: Path) -> None:
    first = used()
    with database.connection(), pytest.raises(peewee.OperationalError):
        db.execute_sql("SELECT no_such_column FROM therapist")
    assert used() is not first
    second = used()
    with database.connection(), pytest.raises(peewee.IntegrityError):
        db.execute_sql("INSERT INTO hold (name, at) VALUES ('x', 1), ('x', 2)")
    assert used() is second

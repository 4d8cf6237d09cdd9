"""A SQLite file that is locked, full, read-only, missing or damaged is reported by its fault."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee
import pytest

from app.errors import StoreUnavailable
from app.store.db import database, errors, sqlite
from app.store.db.database import db, in_transaction, on_commit
from app.store.models import Therapist
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import Cast, headline, rename

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HOLDS_OUR_LOCK = """
import sys
from app.store.db import database
database.bind(sys.argv[1])
@database.in_transaction
def hold():
    database.db.execute_sql("UPDATE therapist SET headline = 'theirs'")
    print("held", flush=True)
    sys.stdin.read()
hold()
"""
HOLDS_LIKE_A_SHELL = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"), isolation_level=None)
other.execute("BEGIN IMMEDIATE")
other.execute("UPDATE therapist SET headline = 'theirs'")
print("held", flush=True)
sys.stdin.read()
other.execute("COMMIT")
"""


@contextmanager
def another_process(program: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """A process inside a write transaction, which ends well when its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", program, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("program", [HOLDS_OUR_LOCK, HOLDS_LIKE_A_SHELL])
def test_a_process_stopped_while_writing_does_not_block_others_for_ever(
    cast: Cast, database_url: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITE_LOCK_S", 0.2)
    with another_process(program, database_url) as process:
        os.kill(process.pid, signal.SIGSTOP)
        db.execute_sql("PRAGMA busy_timeout = 200")
        with pytest.raises(StoreUnavailable, match=r"another process|database is locked"):
            in_transaction(rename)("ours")
        assert headline() == ""
    assert headline() == "theirs"
    in_transaction(rename)("ours")
    assert headline() == "ours"


def test_a_thread_that_hangs_while_writing_does_not_block_others_for_ever(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITE_LOCK_S", 0.2)
    has_begun, may_end = threading.Event(), threading.Event()

    @in_transaction
    def hang() -> None:
        rename("theirs")
        has_begun.set()
        may_end.wait(PATIENCE_S)

    hanging = threading.Thread(target=hang)
    hanging.start()
    has_begun.wait(PATIENCE_S)
    with pytest.raises(StoreUnavailable, match="this process"):
        in_transaction(rename)("ours")
    may_end.set()
    hanging.join()
    in_transaction(rename)("ours")
    assert headline() == "ours"


def test_many_writers_all_get_their_turn(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WRITE_LOCK_S", PATIENCE_S)

    def add(times: int) -> None:
        for _ in range(times):
            in_transaction(
                lambda: (
                    Therapist.update(streak=Therapist.streak + 1)
                    .where(Therapist.slug == "asha")
                    .execute()
                )
            )()

    threads = [threading.Thread(target=add, args=(20,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Therapist.get(Therapist.slug == "asha").streak == 160


def test_a_full_disk_leaves_nothing_half_written_and_writing_works_afterwards(cast: Cast) -> None:
    used = db.execute_sql("PRAGMA page_count").fetchone()[0]

    @in_transaction
    def fill(pages: int) -> None:
        rename("half")
        Therapist.update(about="x" * 4096 * pages).where(Therapist.slug == "bran").execute()

    db.execute_sql(f"PRAGMA max_page_count = {used + 2}")
    with pytest.raises(StoreUnavailable, match="full"):
        fill(20)
    assert headline() == ""
    db.execute_sql(f"PRAGMA max_page_count = {used + 200}")
    fill(20)
    assert headline() == "half"


def test_a_read_only_database_is_reported_and_writing_works_afterwards(cast: Cast) -> None:
    db.execute_sql("PRAGMA query_only = 1")
    with pytest.raises(StoreUnavailable, match="readonly"):
        in_transaction(rename)("new")
    db.execute_sql("PRAGMA query_only = 0")
    in_transaction(rename)("new")
    assert headline() == "new"


@pytest.mark.parametrize("suffix", [".lock", "-wal"])
def test_a_lock_or_log_file_that_cannot_be_opened_is_reported(
    cast: Cast, database_url: str, suffix: str
) -> None:
    path = file_of(database_url)
    beside = path.with_name(path.name + suffix)
    database.drop_log()
    database.release()
    beside.unlink(missing_ok=True)
    # The mode of a file would not stop root.
    beside.mkdir()
    with pytest.raises(StoreUnavailable, match=r"cannot be opened|unable to open|disk I/O"):
        in_transaction(rename)("new")
    beside.rmdir()
    in_transaction(rename)("new")
    assert headline() == "new"


def test_a_missing_file_is_reported_and_not_created(cast: Cast, database_url: str) -> None:
    path = file_of(database_url)
    database.drop_log()
    database.release()
    kept = path.rename(path.with_name("kept.db"))
    with pytest.raises(StoreUnavailable, match="there is no database at"):
        in_transaction(rename)("new")
    with pytest.raises(peewee.OperationalError) as missed:
        Therapist.get()
    assert errors.is_environmental(missed.value)
    assert not path.exists()
    kept.rename(path)
    in_transaction(rename)("new")
    assert headline() == "new"


def test_the_next_request_reads_a_file_that_replaced_the_old_one(
    cast: Cast, database_url: str
) -> None:
    path = file_of(database_url)
    database.drop_log()
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    in_transaction(rename)("before")
    database.drop_log()
    database.release()
    copy.replace(path)
    assert headline() == ""
    in_transaction(rename)("after")
    assert headline() == "after"


@pytest.mark.parametrize("first_page", [0, 1])
def test_a_damaged_file_is_a_fault_of_the_environment(
    cast: Cast, database_url: str, first_page: int
) -> None:
    path = file_of(database_url)
    database.drop_log()
    database.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: first_page * 4096] + b"\xa5" * (len(whole) - first_page * 4096))
    with pytest.raises(StoreUnavailable, match=r"not a database|malformed"):
        in_transaction(rename)("new")
    path.write_bytes(whole)
    in_transaction(rename)("new")
    assert headline() == "new"


def test_damage_found_while_reading_rows_is_a_fault_of_the_environment(
    cast: Cast, database_url: str
) -> None:
    for number in range(60):
        person = {"slug": f"t{number}", "email": f"t{number}@t.example", "about": "x" * 3000}
        copied = dict(cast.asha.__data__) | person | {"email_key": person["email"]}
        Therapist.insert({name: copied[name] for name in copied if name != "id"}).execute()
    database.drop_log()
    database.release()
    path = file_of(database_url)
    whole = path.read_bytes()
    last = whole.rindex(b"x" * 200) // 4096 * 4096
    path.write_bytes(whole[: last - 40_960] + b"\xa5" * 40_960 + whole[last:])
    with database.connection(), pytest.raises(errors.DATABASE_ERRORS) as met:
        list(Therapist.select().tuples())
    assert errors.is_environmental(met.value)
    assert isinstance(met.value, sqlite3.Error | peewee.DatabaseError)


def test_a_bad_statement_is_a_bug(cast: Cast) -> None:
    for wrong in ("SELECT nothing FROM therapist", "SELECT * FROM nowhere", "SELEKT"):
        with pytest.raises(peewee.OperationalError) as met:
            in_transaction(db.execute_sql)(wrong)
        assert not errors.is_environmental(met.value)


def test_a_failure_after_the_commit_neither_repeats_nor_undoes_it(cast: Cast) -> None:
    tries: list[str] = []

    def fail() -> None:
        raise peewee.OperationalError("too late")

    @in_transaction
    def work() -> None:
        tries.append("try")
        rename("new")
        on_commit(fail)

    with pytest.raises(peewee.OperationalError, match="too late"):
        work()
    assert (tries, headline()) == (["try"], "new")


def test_an_erasure_stands_even_if_the_log_cannot_be_emptied(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    rename("new")
    db.execute_sql("BEGIN")
    db.execute_sql("UPDATE therapist SET headline = 'newer'")
    database.drop_log()
    db.execute_sql("COMMIT")
    assert "write-ahead log not emptied" in caplog.text
    database.drop_log()
    assert headline() == "newer"

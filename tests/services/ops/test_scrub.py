"""What was erased is in no file of the database after `mindsum db scrub`."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from app import clock
from app.cli import run
from app.services.ops import scrub
from app.store.db import database
from app.store.db import scrub as files
from app.store.models import Client
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CANARY = "zinnia-quetzalcoatl"


def in_postgresql_files() -> list[str]:
    """The tables and indexes whose files hold the canary."""
    run_sql = database.db.execute_sql
    run_sql("CHECKPOINT")
    files = run_sql(
        "SELECT relname, pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class"
        " WHERE relkind IN ('r', 'i', 't') AND pg_relation_size(oid) > 0 AND NOT relisshared"
        " AND relnamespace::regnamespace::text <> 'kept'"
    ).fetchall()
    return [name for name, data in files if CANARY.encode() in bytes(data)]


def samples() -> list[str]:
    """Deleted values that the planner's statistics repeat."""
    bounds = database.db.execute_sql(
        "SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'client'"
    ).fetchall()
    return [each for (each,) in bounds if each and CANARY in each]


def add_and_delete(story: Story) -> None:
    for number in range(50):
        address = f"{CANARY}{number}@clients.example"
        Client.create(email=address, email_key=address, created_at=story.now)
    if not database.is_sqlite():
        database.db.execute_sql("ANALYZE client")
    Client.delete().where(Client.email.startswith(CANARY)).execute()


@on_postgresql
def test_postgresql_holds_deleted_rows_and_samples_of_values_until_it_is_scrubbed(
    story: Story,
) -> None:
    story.ask()
    add_and_delete(story)
    assert {"client", "client_email_key"} <= set(in_postgresql_files())
    assert samples()
    assert "mindsum db scrub" in " ".join(scrub.remains())
    answer = scrub.scrub_database(clock.now())
    assert answer.locked == []
    assert (in_postgresql_files(), samples()) == ([], [])
    assert len(answer.left) == 2 and "write-ahead log" in answer.left[0]
    assert database.db.execute_sql("SHOW lock_timeout").fetchone() == ("0",)


@on_postgresql
def test_a_table_that_somebody_keeps_locked_is_named_and_the_others_are_rewritten(
    story: Story, app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(files, "_LOCK_WAIT", "50ms")
    add_and_delete(story)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE booking IN ACCESS SHARE MODE")
        assert run(["db", "scrub", "--json"], create=lambda: app) == 1
        assert json.loads(capsys.readouterr().out)["locked"] == ["booking"]
    assert in_postgresql_files() == []
    assert run(["db", "scrub"], create=lambda: app) == 0
    assert "write-ahead log" in capsys.readouterr().out


@contextmanager
def reading(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM therapist").fetchall()
        yield


@on_sqlite
def test_a_scrubbed_sqlite_file_holds_nothing_that_was_deleted_without_care(
    cast: Cast, story: Story
) -> None:
    path = Path(database.db.obj.database)
    database.db.execute_sql("PRAGMA secure_delete = 0")
    add_and_delete(story)
    scrub.scrub_database(clock.now())
    held = [each.name for each in path.parent.iterdir() if CANARY.encode() in each.read_bytes()]
    assert held == []
    assert len(scrub.remains()) == 1


@on_sqlite
def test_what_a_reader_keeps_in_the_log_and_a_restore_has_set_aside_is_named(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(database.db.obj.database)
    path.with_name(f"{path.name}.replaced-20261102T090000Z").touch()
    story.withdraw(story.ask())
    with reading(path):
        story.wait(minutes=1)
        database.db.execute_sql("PRAGMA busy_timeout = 100")
        assert run(["client", "erase", "dee@clients.example", "--json"], create=lambda: app) == 0
        left = json.loads(capsys.readouterr().out)["left"]
    assert ["replaced-20261102" in left[0], "write-ahead log" in left[1]] == [True, True]
    assert run(["db", "scrub", "--json"], create=lambda: app) == 0
    left = json.loads(capsys.readouterr().out)["left"]
    assert ["replaced-2026" in left[0], len(left)] == [True, 2]

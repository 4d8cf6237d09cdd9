"""`mindsum db backup`, `db restore`, `outbox hold` and `outbox release`, as ops types them."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from app.services.ops import backup as backups
from app.store import outbox
from app.store.db import database
from app.store.models import Booking
from tests.scenarios.story import Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def typed(app: Flask, *words: str | Path) -> int:
    """The exit status; no other process has the database open."""
    database.release()
    return run([str(word) for word in words], create=lambda: app)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@on_sqlite
def test_a_backup_is_restored_held_and_released(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    file = tmp_path / "one.db"
    assert typed(app, "db", "backup", file, "--json") == 0
    assert told(capsys) == {"file": str(file), "bytes": file.stat().st_size}
    assert typed(app, "db", "restore", file) == 2
    assert "not empty" in capsys.readouterr().err
    assert typed(app, "db", "restore", file, "--replace", "--json") == 0
    put = told(capsys)
    assert (put["bookings"], put["emails_waiting"], put["steps"]) == (1, 2, [])
    assert Path(put["set_aside"]).parent == backups.live_file().parent
    assert story.deliver() == []
    assert typed(app, "outbox", "release", "--json") == 0
    assert told(capsys) == {"released": True, "due": 2}
    assert len(story.deliver()) == 2
    assert typed(app, "outbox", "release", "--json") == 0
    assert told(capsys) == {"released": False, "due": 0}


@on_sqlite
def test_a_restore_says_what_to_do_next(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(app, "db", "backup", tmp_path / "one.db")
    typed(app, "db", "restore", tmp_path / "one.db", "--replace")
    assert "mindsum outbox release" in capsys.readouterr().out


def strewn_over(path: Path) -> None:
    path.write_bytes(b"\x5a" * 20_000)


def only_its_log_left(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("UPDATE booking SET client_name = 'of the lost one'")
        opened.commit()
        log = path.with_name(f"{path.name}-wal").read_bytes()
    path.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(log)


DISASTERS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "missing": (Path.unlink, False),
    "missing, and replaced": (Path.unlink, True),
    "missing, its log left": (only_its_log_left, False),
    "strewn over": (strewn_over, True),
}


@on_sqlite
@pytest.mark.parametrize(("strike", "replaces"), DISASTERS.values(), ids=DISASTERS)
def test_a_lost_database_is_restored(
    story: Story,
    app: Flask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    strike: Callable[[Path], object],
    replaces: bool,
) -> None:
    kept = story.ask()
    file, live = tmp_path / "one.db", backups.live_file()
    assert typed(app, "db", "backup", file) == 0
    database.release()
    strike(live)
    replace = ["--replace"] if replaces else []
    assert typed(app, "db", "restore", file, *replace, "--json") == 0
    put = told(capsys)
    assert (put["bookings"], put["emails_waiting"]) == (1, 2)
    assert bool(put["set_aside"]) == (strike is strewn_over)
    with database.connection():
        assert Booking.get().reference == kept.reference
        assert kept.client_name == story.reload(kept).client_name
        assert outbox.held_since() == story.now
        assert story.deliver() == []


@on_sqlite
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_restore_is_refused_while_another_program_has_the_database_open(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    typed(app, "db", "backup", tmp_path / "one.db")
    booking = story.ask()
    with closing(sqlite3.connect(backups.live_file(), isolation_level=None)) as shell:
        shell.execute(f"BEGIN {how}")
        capsys.readouterr()
        assert typed(app, "db", "restore", tmp_path / "one.db", "--replace") == 2
        assert "stop web and scheduler first" in capsys.readouterr().err
    assert story.reload(booking).reference == booking.reference
    assert outbox.held_since() is None
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    assert typed(app, "db", "restore", tmp_path / "one.db", "--replace") == 0
    assert Booking.select().count() == 0


@on_postgresql
def test_a_postgresql_outbox_is_held_by_hand(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(app, "db", "backup", tmp_path / "one.db") == 2
    assert "pg_dump" in capsys.readouterr().err
    assert typed(app, "outbox", "hold", "--json") == 0
    assert told(capsys) == {"held_since": "2026-11-02T09:00:00Z"}
    assert outbox.held_since() == story.now

"""Backups on a machine that fails: exit status 1 for its faults, 2 for mistakes of who typed."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask

from app.cli import run
from app.services.ops import backup as backups
from app.store.db import database
from app.store.models import Booking
from tests.scenarios.story import Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def typed(app: Flask, *words: str | Path) -> int:
    """The exit status; no other process has the database open."""
    database.release()
    return run([str(word) for word in words], create=lambda: app)


@contextmanager
def no_room() -> Iterator[None]:
    """No file can grow beyond 20,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def behead(path: Path) -> None:
    path.write_bytes(b"\x5a" * 100 + path.read_bytes()[100:])


@on_sqlite
def test_a_name_that_cannot_be_is_named(
    app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("backup",), ("restore", "--replace")):
        assert typed(app, "db", *words, tmp_path / ("x" * 300)) == 2
        said = capsys.readouterr().err
        assert "too long" in said or "There is no file" in said


@on_sqlite
def test_a_disk_without_room_is_no_mistake_of_whoever_typed(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(app, "db", "backup", tmp_path / "one.db") == 0
    booking = story.ask()
    for words in (("backup", tmp_path / "two.db"), ("restore", tmp_path / "one.db", "--replace")):
        with no_room():
            assert typed(app, "db", *words) == 1
        assert "could not be copied to" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir() if "two.db" in each.name] == []
    assert story.reload(booking).reference == booking.reference


@on_sqlite
def test_a_live_database_past_reading_is_no_mistake_of_whoever_typed(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.release()
    behead(backups.live_file())
    assert typed(app, "db", "backup", tmp_path / "one.db") == 1
    backups.live_file().unlink()
    assert typed(app, "db", "backup", tmp_path / "one.db") == 1
    assert "There is no database at" in capsys.readouterr().err


@on_sqlite
def test_a_wrong_file_or_folder_is_a_mistake(story: Story, app: Flask, tmp_path: Path) -> None:
    assert typed(app, "db", "backup", tmp_path / "nowhere" / "one.db") == 2
    assert typed(app, "db", "backup", tmp_path / "one.db") == 0
    assert typed(app, "db", "backup", tmp_path / "one.db") == 2
    assert typed(app, "db", "restore", tmp_path / "none.db", "--replace") == 2
    behead(tmp_path / "one.db")
    assert typed(app, "db", "restore", tmp_path / "one.db", "--replace") == 2
    assert Booking.select().count() == 0

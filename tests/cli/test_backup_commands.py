"""`mindsum db backup`, `db restore`, `outbox hold` and `outbox release`, as ops types them."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from app.store import outbox
from tests.story import Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def typed(app: Flask, *words: str | Path) -> int:
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
    assert told(capsys) == {"bookings": 1, "emails_waiting": 2, "steps": [], "set_aside": None}
    assert story.deliver() == []
    assert typed(app, "outbox", "release", "--json") == 0
    assert told(capsys) == {"released": True, "due": 2}
    assert len(story.deliver()) == 2
    assert typed(app, "outbox", "release", "--json") == 0
    assert told(capsys) == {"released": False, "due": 0}


@on_sqlite
def test_people_are_told_what_to_do_after_a_restore(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(app, "db", "backup", tmp_path / "one.db")
    typed(app, "db", "restore", tmp_path / "one.db", "--replace")
    assert "mindsum outbox release" in capsys.readouterr().out


@on_postgresql
def test_a_postgresql_outbox_is_held_by_hand(
    story: Story, app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(app, "db", "backup", tmp_path / "one.db") == 2
    assert "pg_dump" in capsys.readouterr().err
    assert typed(app, "outbox", "hold", "--json") == 0
    assert told(capsys) == {"held_since": "2026-11-02T09:00:00Z"}
    assert outbox.held_since() == story.now

"""Backups on a machine that fails: told as its fault, and no half of a file has a whole's name."""

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from app.cli import run
from app.services.ops import backup as backups
from app.services.ops import placing
from app.store.db import database
from app.store.models import Booking
from tests.scenarios.story import Story

pytestmark = pytest.mark.both_databases

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ASIDE = "live.db.ruined-20261102T120000Z"
CHANGES = {"open", "os.chmod", "os.link", "os.remove", "os.rename"}
Hook = Callable[[str, object], None]


def typed(app: Flask, *words: str | Path) -> int:
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
    database.db.close()
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


def in_a_child(act: Callable[[], object], hook: Hook) -> int:
    """How a process of its own ends that does `act` while `hook` sees what it asks of the system.

    0 when it was done, -9 when it was killed.
    """
    child = os.fork()
    if child == 0:
        sys.addaudithook(hook)
        try:
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def without_links(event: str, _arguments: object) -> None:
    if event == "os.link":
        raise PermissionError(1, "Operation not permitted")


def killed_at(step: int, hook: Hook) -> Hook:
    """Is killed when it asks something of the system for the `step`th time."""
    asked = iter(range(step))

    def count(event: str, arguments: object) -> None:
        hook(event, arguments)
        if event in CHANGES and next(asked, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def lenient(_event: str, _arguments: object) -> None:
    """Let everything be done."""


@pytest.mark.parametrize("hook", [lenient, without_links])
def test_a_backup_that_is_killed_leaves_no_half_under_the_name(tmp_path: Path, hook: Hook) -> None:
    seen = []
    for step in range(20):
        made, path = tmp_path / f"made-{step}", tmp_path / f"named-{step}"
        made.write_text("all of it")
        ended = in_a_child(lambda: placing.name(made, path), killed_at(step, hook))  # noqa: B023 - called at once
        seen.append(ended)
        if path.exists():
            assert path.read_text() == "all of it"
        if ended == 0:
            break
    assert (seen[0], seen[-1]) == (-signal.SIGKILL, 0)
    assert path.read_text() == "all of it"


@pytest.mark.parametrize("hook", [lenient, without_links])
def test_a_name_that_is_taken_is_left_to_whoever_has_it(tmp_path: Path, hook: Hook) -> None:
    (made := tmp_path / "made").write_text("a backup")
    (path := tmp_path / "one.db").write_text("the only copy")
    assert in_a_child(lambda: placing.name(made, path), hook) == 1
    assert path.read_text() == "the only copy"


@pytest.mark.parametrize("hook", [lenient, without_links])
def test_a_ruin_is_set_aside_where_no_file_can_be_linked(tmp_path: Path, hook: Hook) -> None:
    (made := tmp_path / "made").write_text("a backup")
    (live := tmp_path / "live.db").write_text("a ruin")
    live.chmod(0o640)
    assert in_a_child(lambda: placing.replace_ruin(made, live, NOON), hook) == 0
    assert (live.read_text(), live.stat().st_mode & 0o777) == ("a backup", 0o640)
    assert (tmp_path / ASIDE).read_text() == "a ruin"


@pytest.mark.parametrize("hook", [lenient, without_links])
def test_what_was_set_aside_before_is_kept(tmp_path: Path, hook: Hook) -> None:
    (made := tmp_path / "made").write_text("a backup")
    (live := tmp_path / "live.db").write_text("a ruin")
    (tmp_path / ASIDE).write_text("an earlier ruin")
    assert in_a_child(lambda: placing.replace_ruin(made, live, NOON), hook) == 1
    assert (live.read_text(), (tmp_path / ASIDE).read_text()) == ("a ruin", "an earlier ruin")

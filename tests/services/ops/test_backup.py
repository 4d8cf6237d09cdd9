"""Backups of SQLite: taken while it is in use, and put in place with the outbox held."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.rules.lifecycle import Status
from app.services.ops import backup as backups
from app.services.ops.backup import BackupRefused
from app.store import outbox
from app.store.db import database
from app.store.models import Booking
from tests.scenarios.story import ELI, Story

pytestmark = pytest.mark.both_databases

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as opened, opened:
        for statement in statements:
            opened.execute(statement)


@on_sqlite
def test_a_restored_database_is_as_it_was_and_its_outbox_is_held(
    story: Story, tmp_path: Path
) -> None:
    kept = story.ask()
    size = backups.backup(tmp_path / "monday.db")
    assert size == (tmp_path / "monday.db").stat().st_size
    lost = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    story.accept(kept)
    restored = backups.restore(tmp_path / "monday.db", backups.live_file(), story.now, replace=True)
    assert (restored.bookings, restored.emails_waiting, restored.steps) == (1, 2, [])
    assert story.reload(kept).status is Status.REQUESTED
    assert not Booking.select().where(Booking.reference == lost.reference).exists()
    assert story.deliver() == []
    assert outbox.held_since() == story.now
    assert outbox.release(story.now) == 2
    assert len(story.deliver()) == 2


@on_sqlite
def test_a_backup_holds_what_was_committed_and_keeps_no_writer_waiting(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    with database.db.atomic():
        story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
        backups.backup(tmp_path / "now.db")
    assert Booking.select().count() == 2
    fresh = tmp_path / "elsewhere" / "fresh.db"
    assert backups.restore(tmp_path / "now.db", fresh, story.now).bookings == 1
    assert backups.restore(tmp_path / "now.db", fresh, story.now, replace=True).bookings == 1


@on_sqlite
def test_a_backup_is_for_its_owners_eyes_and_leaves_nothing_else_behind(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    (folder := tmp_path / "backups").mkdir()
    backups.backup(folder / "one.db")
    assert [each.name for each in folder.iterdir()] == ["one.db"]
    assert (folder / "one.db").stat().st_mode & 0o777 == 0o600


@on_sqlite
def test_a_database_restored_to_a_new_place_is_for_its_owners_eyes(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    backups.backup(tmp_path / "one.db")
    backups.restore(tmp_path / "one.db", new := tmp_path / "new" / "live.db", story.now)
    assert new.stat().st_mode & 0o777 == 0o600


@on_sqlite
def test_a_backup_overwrites_no_file(story: Story, tmp_path: Path) -> None:
    (tmp_path / "one.db").write_text("the only copy")
    with pytest.raises(BackupRefused, match="exists already"):
        backups.backup(tmp_path / "one.db")
    assert (tmp_path / "one.db").read_text() == "the only copy"


@on_sqlite
def test_a_backup_into_no_folder_is_refused_by_name(story: Story, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="nowhere"):
        backups.backup(tmp_path / "nowhere" / "one.db")
    backups.backup(tmp_path / "one.db")
    with pytest.raises(BackupRefused, match=r"one\.db/x cannot be written"):
        backups.restore(tmp_path / "one.db", tmp_path / "one.db" / "x" / "live.db", story.now)


@on_sqlite
def test_a_database_with_anything_in_it_is_not_replaced_unasked(
    story: Story, tmp_path: Path
) -> None:
    backups.backup(tmp_path / "one.db")
    booking = story.ask()
    with pytest.raises(BackupRefused, match="not empty"):
        backups.restore(tmp_path / "one.db", backups.live_file(), story.now)
    assert story.reload(booking).reference == booking.reference
    assert outbox.held_since() is None


@on_sqlite
def test_an_older_backup_gets_the_schema_of_today(story: Story, tmp_path: Path) -> None:
    story.ask()
    backups.backup(old := tmp_path / "old.db")
    run_sql(
        old,
        "DROP TABLE suppression",
        "DROP TABLE hold",
        "DELETE FROM schema_migration WHERE name = '0002_suppression'",
    )
    restored = backups.restore(old, backups.live_file(), story.now, replace=True)
    assert restored.steps == ["0002_suppression"]
    assert database.pending_upgrades() == []
    assert outbox.held_since() == story.now


def scribbled(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[8192:] = b"\x5a" * (len(raw) - 8192)
    path.write_bytes(raw)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "There is no file"),
    "no database": (lambda path: path.write_text("Dear diary, " * 100), "not a database"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "damaged|malformed"),
    "scribbled over": (scribbled, "damaged|malformed"),
    "of something else": (
        lambda path: (path.unlink(), run_sql(path, "CREATE TABLE recipe (name TEXT)")),
        "not one of Mindsum Bookings",
    ),
    "orphaned": (
        lambda path: run_sql(path, "DELETE FROM client"),
        "lacks its client",
    ),
    "newer": (
        lambda path: run_sql(
            path, "INSERT INTO schema_migration (name, applied) VALUES ('0999_x', '2027-01-01')"
        ),
        "newer version",
    ),
}


@on_sqlite
@pytest.mark.parametrize(("spoil", "why"), BAD.values(), ids=BAD)
def test_what_is_no_sound_backup_is_refused_and_changes_nothing(
    story: Story, tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    booking = story.ask()
    backups.backup(bad := tmp_path / "bad.db")
    spoil(bad)
    with pytest.raises(BackupRefused, match=why):
        backups.restore(bad, backups.live_file(), story.now, replace=True)
    assert story.reload(booking).reference == booking.reference
    assert outbox.held_since() is None
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@on_sqlite
def test_a_database_is_not_restored_from_itself(story: Story) -> None:
    with pytest.raises(BackupRefused, match="itself"):
        backups.restore(backups.live_file(), backups.live_file(), story.now, replace=True)


def beheaded(path: Path) -> None:
    path.write_bytes(b"\x5a" * 100 + path.read_bytes()[100:])


RUINS: dict[str, Callable[[Path], object]] = {
    "a diary": lambda path: path.write_text("Dear diary, " * 100),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:20_000]),
    "without its header": beheaded,
    "scribbled over": scribbled,
}


@on_sqlite
@pytest.mark.parametrize("ruin", RUINS.values(), ids=RUINS)
def test_a_ruin_is_set_aside_whole_and_the_backup_takes_its_place(
    story: Story, tmp_path: Path, ruin: Callable[[Path], object]
) -> None:
    kept = story.ask()
    backups.backup(tmp_path / "monday.db")
    shutil.copy(tmp_path / "monday.db", ruined := tmp_path / "ruined.db")
    ruin(ruined)
    ruined.chmod(0o640)
    (tmp_path / "ruined.db-wal").write_bytes(b"of the ruin")
    was = ruined.read_bytes()
    with pytest.raises(BackupRefused, match="not empty"):
        backups.restore(tmp_path / "monday.db", ruined, story.now)
    restored = backups.restore(tmp_path / "monday.db", ruined, story.now, replace=True)
    assert restored.set_aside is not None
    aside = Path(restored.set_aside)
    assert aside.read_bytes() == was
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"of the ruin"
    assert ruined.stat().st_mode & 0o777 == 0o640
    database.bind(f"sqlite:///{ruined}")
    assert story.reload(kept).status is Status.REQUESTED
    assert outbox.held_since() == story.now
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@on_sqlite
def test_a_ruin_that_cannot_be_set_aside_stays_and_the_restore_says_so(
    story: Story, tmp_path: Path
) -> None:
    backups.backup(tmp_path / "one.db")
    (ruined := tmp_path / "ruined.db").write_text("Dear diary")
    taken = tmp_path / f"ruined.db.ruined-{story.now:%Y%m%dT%H%M%SZ}"
    taken.write_text("an older ruin")
    with pytest.raises(BackupRefused, match="set aside"):
        backups.restore(tmp_path / "one.db", ruined, story.now, replace=True)
    assert (ruined.read_text(), taken.read_text()) == ("Dear diary", "an older ruin")


@on_sqlite
def test_a_damaged_database_that_still_opens_is_replaced_as_a_sound_one_is(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    backups.backup(tmp_path / "one.db")
    shutil.copy(tmp_path / "one.db", damaged := tmp_path / "damaged.db")
    with closing(sqlite3.connect(damaged)) as opened:
        where = "SELECT rootpage FROM sqlite_master WHERE name = 'held_time'"
        [page] = opened.execute(where).fetchone()
        [size] = opened.execute("PRAGMA page_size").fetchone()
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: size * (page - 1)] + b"\x5a" * size + whole[size * page :])
    restored = backups.restore(tmp_path / "one.db", damaged, story.now, replace=True)
    assert (restored.bookings, restored.set_aside) == (1, None)


@on_sqlite
def test_a_backup_gives_up_on_a_database_that_another_program_keeps_to_itself(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "BUSY_SECONDS", 0.05)
    database.db.close()
    with closing(sqlite3.connect(backups.live_file())) as shell:
        shell.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE")
        with pytest.raises(BackupRefused, match=r"locked for 0\.05 s"):
            backups.backup(tmp_path / "one.db")
    assert not [each for each in tmp_path.iterdir() if "one.db" in each.name]
    assert backups.backup(tmp_path / "one.db")


@on_postgresql
def test_postgresql_is_backed_up_with_its_own_tools(story: Story, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="pg_dump"):
        backups.backup(tmp_path / "one.db")

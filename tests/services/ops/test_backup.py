"""Backups of SQLite: taken while it is in use; restored while it is not, with the outbox held."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.rules.lifecycle import Status
from app.services.ops import backup as backups
from app.services.ops.backup import BackupRefused, Restored
from app.store import outbox
from app.store.db import database, sqlite
from app.store.models import Booking
from tests.scenarios.story import ELI, Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as opened, opened:
        for statement in statements:
            opened.execute(statement)


def restore(story: Story, path: Path, *, replace: bool = True) -> Restored:
    """Restore the story's own database, with web and scheduler stopped."""
    database.release()
    return backups.restore(path, backups.live_file(), story.now, replace=replace)


@on_sqlite
def test_a_restored_database_is_as_it_was_and_its_outbox_is_held(
    story: Story, tmp_path: Path
) -> None:
    kept = story.ask()
    size = backups.backup(tmp_path / "monday.db")
    assert size == (tmp_path / "monday.db").stat().st_size
    lost = story.ask(client=ELI, starts_at=story.now + timedelta(hours=54))
    story.accept(kept)
    restored = restore(story, tmp_path / "monday.db")
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
def test_a_backup_is_readable_by_its_owner_only_and_leaves_nothing_else_behind(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    (folder := tmp_path / "backups").mkdir()
    backups.backup(folder / "one.db")
    assert [each.name for each in folder.iterdir()] == ["one.db"]
    assert (folder / "one.db").stat().st_mode & 0o777 == 0o600


@on_sqlite
def test_a_database_restored_to_a_new_place_is_readable_by_its_owner_only(
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
    with pytest.raises(BackupRefused, match=r"one\.db/x/live\.db cannot be written"):
        backups.restore(tmp_path / "one.db", tmp_path / "one.db" / "x" / "live.db", story.now)


@on_sqlite
def test_a_database_that_is_not_empty_is_only_replaced_on_demand(
    story: Story, tmp_path: Path
) -> None:
    backups.backup(tmp_path / "one.db")
    booking = story.ask()
    with pytest.raises(BackupRefused, match="not empty"):
        restore(story, tmp_path / "one.db", replace=False)
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
    restored = restore(story, old)
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
        restore(story, bad)
    assert story.reload(booking).reference == booking.reference
    assert outbox.held_since() is None
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@on_sqlite
def test_a_database_is_not_restored_from_itself(story: Story) -> None:
    with pytest.raises(BackupRefused, match="itself"):
        restore(story, backups.live_file())


@on_sqlite
def test_a_database_that_a_process_has_open_is_not_replaced(story: Story, tmp_path: Path) -> None:
    backups.backup(tmp_path / "one.db")
    booking = story.ask()
    with pytest.raises(BackupRefused, match="in use; stop web and scheduler"):
        backups.restore(tmp_path / "one.db", backups.live_file(), story.now, replace=True)
    assert story.reload(booking).reference == booking.reference
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@on_sqlite
def test_a_database_that_a_process_writes_to_is_not_replaced(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups.backup(tmp_path / "one.db")
    booking = story.ask()
    monkeypatch.setattr(sqlite, "WRITE_LOCK_S", 0)
    with sqlite.write_lock(backups.live_file()), pytest.raises(StoreUnavailable):
        restore(story, tmp_path / "one.db")
    assert story.reload(booking).reference == booking.reference
    assert restore(story, tmp_path / "one.db").bookings == 0


def beheaded(path: Path) -> None:
    path.write_bytes(b"\x5a" * 100 + path.read_bytes()[100:])


PREDECESSORS: dict[str, Callable[[Path], object]] = {
    "sound": lambda path: None,
    "no database": lambda path: path.write_text("Dear diary, " * 100),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:20_000]),
    "without its header": beheaded,
    "scribbled over": scribbled,
}


@on_sqlite
@pytest.mark.parametrize("spoil", PREDECESSORS.values(), ids=PREDECESSORS)
def test_the_replaced_file_is_kept_in_whatever_state_it_was(
    story: Story, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    kept = story.ask()
    backups.backup(tmp_path / "monday.db")
    shutil.copy(tmp_path / "monday.db", live := tmp_path / "live.db")
    run_sql(live, "PRAGMA journal_mode = DELETE")
    spoil(live)
    live.chmod(0o640)
    was = live.read_bytes()
    with pytest.raises(BackupRefused, match="not empty"):
        backups.restore(tmp_path / "monday.db", live, story.now)
    restored = backups.restore(tmp_path / "monday.db", live, story.now, replace=True)
    assert restored.set_aside is not None
    assert Path(restored.set_aside).read_bytes() == was
    assert live.stat().st_mode & 0o777 == 0o640
    database.bind(f"sqlite:///{live}")
    assert story.reload(kept).status is Status.REQUESTED
    assert outbox.held_since() == story.now
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@on_sqlite
def test_the_log_of_a_damaged_database_goes_with_it(story: Story, tmp_path: Path) -> None:
    story.ask()
    backups.backup(tmp_path / "one.db")
    (damaged := tmp_path / "damaged.db").write_text("Dear diary, " * 1000)
    (tmp_path / "damaged.db-wal").write_bytes(b"of the damaged one")
    restored = backups.restore(tmp_path / "one.db", damaged, story.now, replace=True)
    assert Path(f"{restored.set_aside}-wal").read_bytes() == b"of the damaged one"
    assert not (tmp_path / "damaged.db-wal").exists()


@on_sqlite
def test_what_was_set_aside_before_is_never_overwritten(story: Story, tmp_path: Path) -> None:
    backups.backup(tmp_path / "one.db")
    (live := tmp_path / "live.db").write_text("Dear diary")
    earlier = tmp_path / f"live.db.replaced-{story.now:%Y%m%dT%H%M%SZ}"
    earlier.write_text("an older diary")
    with pytest.raises(BackupRefused, match="exists already"):
        backups.restore(tmp_path / "one.db", live, story.now, replace=True)
    assert (live.read_text(), earlier.read_text()) == ("Dear diary", "an older diary")


@on_sqlite
def test_a_backup_gives_up_on_a_database_that_another_program_keeps_to_itself(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "BUSY_S", 0.05)
    database.release()
    with closing(sqlite3.connect(backups.live_file())) as shell:
        shell.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE")
        with pytest.raises(BackupRefused, match=r"locked it for 0\.05 s"):
            backups.backup(tmp_path / "one.db")
    assert not [each for each in tmp_path.iterdir() if "one.db" in each.name]
    assert backups.backup(tmp_path / "one.db")


@on_postgresql
def test_postgresql_is_backed_up_with_its_own_tools(story: Story, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="pg_dump"):
        backups.backup(tmp_path / "one.db")

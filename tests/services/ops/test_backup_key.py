"""BACKUP_KEY: a backup is read with its key alone, whole and unchanged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import config
from app.config import Settings
from app.services.ops import backup as backups
from app.services.ops import backup_cipher
from app.services.ops.backup import BackupRefused
from app.store.db import database
from tests.scenarios.story import DEE, Story

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def use(app: Flask, settings: Settings) -> Callable[..., None]:
    def use_keys(*keys: str) -> None:
        config.use(settings.model_copy(update={"backup_key": keys}))

    return use_keys


def restored(story: Story, path: Path) -> backups.Restored:
    database.release()
    return backups.restore(path, backups.live_file(), story.now, replace=True)


def test_an_encrypted_backup_tells_nothing_and_is_restored_also_after_rotation(
    story: Story, tmp_path: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_cipher, "CHUNK_BYTES", 4096)
    booking = story.ask()
    use(OLD)
    (folder := tmp_path / "backups").mkdir()
    size = backups.backup(file := folder / "one.db")
    raw = file.read_bytes()
    assert len(raw) == size
    assert DEE[1].encode() not in raw and b"SQLite" not in raw
    assert (file.stat().st_mode & 0o777, [each.name for each in folder.iterdir()]) == (
        0o600,
        ["one.db"],
    )
    use(NEW, OLD)
    assert restored(story, file).bookings == 1
    assert story.reload(booking).client.email == DEE[1]
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["no key", "another key"])
def test_a_backup_without_its_key_is_refused_by_the_name_of_the_setting(
    story: Story, tmp_path: Path, use: Callable[..., None], keys: tuple[str, ...]
) -> None:
    use(OLD)
    backups.backup(tmp_path / "one.db")
    use(*keys)
    with pytest.raises(BackupRefused, match="BACKUP_KEY") as refused:
        restored(story, tmp_path / "one.db")
    assert "\n" not in str(refused.value)


def test_a_plain_backup_is_restored_with_a_key_set(
    story: Story, tmp_path: Path, use: Callable[..., None]
) -> None:
    story.ask()
    backups.backup(tmp_path / "one.db")
    use(NEW)
    assert restored(story, tmp_path / "one.db").bookings == 1


SEALED = 4096 + 16
HEADER = len(b"mindsum-backup-1 ") + 12 + 1 + 16


def swapped(raw: bytes) -> bytes:
    start, middle, end = HEADER, HEADER + SEALED, HEADER + 2 * SEALED
    return raw[:start] + raw[middle:end] + raw[start:middle] + raw[end:]


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda raw: raw[:9000] + bytes([raw[9000] ^ 1]) + raw[9001:],
    "cut in a chunk": lambda raw: raw[:-1],
    "cut between chunks": lambda raw: raw[: HEADER + 3 * SEALED],
    "chunks swapped": swapped,
    "a chunk left out": lambda raw: raw[:HEADER] + raw[HEADER + SEALED :],
    "longer": lambda raw: raw + b"x",
    "its salt": lambda raw: raw[: HEADER - 1] + b"?" + raw[HEADER:],
    "the header alone": lambda raw: raw[:HEADER],
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_backup_that_was_changed_is_refused_and_changes_nothing(
    story: Story,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes], bytes],
) -> None:
    monkeypatch.setattr(backup_cipher, "CHUNK_BYTES", 4096)
    use(OLD)
    backups.backup(file := tmp_path / "one.db")
    file.write_bytes(spoil(file.read_bytes()))
    booking = story.ask()
    with pytest.raises(BackupRefused, match="damaged"):
        restored(story, file)
    assert story.reload(booking).reference == booking.reference

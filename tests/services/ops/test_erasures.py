"""An erasure is remembered outside the database, so that an older backup brings no one back."""

import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import clock, config
from app.cli import run
from app.config import Settings
from app.errors import NotFound
from app.rules.lifecycle import Actor, Status
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import change_address
from app.services.ops import backup as backups
from app.services.ops import erasures, rekey
from app.store import suppressions
from app.store.db import database
from app.store.erasure_log import ErasureLogUnusable
from app.store.models import (
    Booking,
    Client,
    DeliveryAttempt,
    MailPause,
    OutboxEmail,
    Suppression,
    Writing,
)
from tests.harness.databases import beside, postgresql_tool
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import ELI, Story, sender_to, total

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ZINNIA = ("Zinnia Quetzalcoatl", "zinnia.quetzal@clients.example", "Pacific/Marquesas")
WORDS = ("Zinnia", "Quetzalcoatl", "zinnia.quetzal", "Marquesas", "note-canary")


@pytest.fixture
def log(settings: Settings, app: Flask, tmp_path: Path) -> Path:
    path = tmp_path / "kept" / "erasures.log"
    config.use(settings.model_copy(update={"erasure_log": path}))
    return path


def erase(story: Story) -> None:
    erase_client(ZINNIA[1], story.wait(minutes=5))


def ask(story: Story) -> Booking:
    return story.ask(client=ZINNIA, note="note-canary")


def restored(story: Story, path: Path) -> backups.Restored:
    database.release()
    return backups.restore(path, backups.live_file(), story.now, replace=True)


def in_files(folder: Path) -> list[tuple[str, str]]:
    """Which canary is in which file below the folder."""
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    return [(f.name, word) for f in files for word in WORDS if word.encode() in f.read_bytes()]


@on_sqlite
@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_backup_of_before_brings_no_erased_client_back(
    story: Story, log: Path, tmp_path: Path, is_accepted: bool
) -> None:
    kept = story.ask("bran", client=ELI, starts_at=story.now + timedelta(hours=54))
    booking = ask(story)
    if is_accepted:
        story.accept(booking)
    backups.backup(tmp_path / "monday.db")
    story.cancel(booking, by=Actor.CLIENT)
    erase(story)
    answer = restored(story, tmp_path / "monday.db")
    assert answer.erased_again == 1
    live = backups.live_file()
    database.release()
    (tmp_path / "monday.db").unlink()
    (tmp_path / "replaced").mkdir()
    assert in_files(tmp_path) == []
    with database.connection():
        assert Booking.get(Booking.reference == kept.reference).client.email == ELI[1]
        assert Writing.select().count() == 0
        with pytest.raises(NotFound):
            export_client(ZINNIA[1], clock.now())
        # The therapist does not wait for a person whose row is gone.
        assert story.reload(booking).status in (Status.WITHDRAWN, Status.CANCELLED_BY_CLIENT)
        sum_of_lines = sum(story.balances(story.reload(booking)).values())
        assert sum_of_lines == 0
    assert live.exists()


def test_the_log_holds_moments_and_hashes_and_no_word_of_the_person(
    story: Story, log: Path
) -> None:
    story.cancel(ask(story), by=Actor.CLIENT)
    erase(story)
    text = log.read_text()
    assert story.now.isoformat() in text
    assert [word for word in WORDS if word.lower() in text.lower()] == []
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def come_back(story: Story, log: Path) -> None:
    story.wait(minutes=1)
    story.ask(client=ZINNIA)


def be_another(story: Story, log: Path) -> None:
    story.ask(client=ELI)


def as_before(story: Story, log: Path) -> None:
    """As a restored backup would have them, with an address of then."""
    gone = Client.get()
    Client.update(email="old@clients.example", email_key="old@clients.example").where(
        Client.id == gone.id
    ).execute()


def with_another_number(story: Story, log: Path) -> None:
    Client.create(email=ZINNIA[1], email_key=ZINNIA[1], created_at=story.now - timedelta(minutes=1))


def with_a_cut_line(story: Story, log: Path) -> None:
    as_before(story, log)
    with log.open("a") as file:
        file.write("2026-11-02T09")
    at = story.now.replace(hour=15, minute=0) + timedelta(days=2)
    story.cancel(story.ask("bran", client=ELI, starts_at=at), Actor.CLIENT)
    erase_client(ELI[1], story.now)


@pytest.mark.parametrize(
    ("change", "count"),
    [(come_back, 0), (be_another, 0), (as_before, 1), (with_another_number, 1),
     (with_a_cut_line, 1)],
)  # fmt: skip
def test_only_those_are_erased_again_who_are_there_as_before(
    story: Story, log: Path, change: Callable[[Story, Path], None], count: int
) -> None:
    story.cancel(ask(story), by=Actor.CLIENT)
    erase(story)
    change(story, log)
    assert erasures.erase_again(story.now) == count
    assert erasures.erase_again(story.now) == 0


@pytest.mark.both_databases
def test_the_log_is_read_with_new_keys_after_rekey(
    story: Story, log: Path, settings: Settings
) -> None:
    story.cancel(ask(story), by=Actor.CLIENT)
    erase(story)
    new = Fernet.generate_key().decode()
    both = config.current().model_copy(update={"notes_key": (new, *settings.notes_key)})
    only_new = both.model_copy(update={"notes_key": (new,)})
    config.use(only_new)
    with pytest.raises(ErasureLogUnusable, match="NOTES_KEY"):
        erasures.erase_again(story.now)
    config.use(both)
    list(rekey.rekey(clock.now()))
    config.use(only_new)
    as_before(story, log)
    assert erasures.erase_again(story.now) == 1


def test_no_one_is_erased_where_it_could_not_be_remembered(story: Story, log: Path) -> None:
    story.cancel(ask(story), by=Actor.CLIENT)
    log.mkdir(parents=True)
    with pytest.raises(ErasureLogUnusable, match="ERASURE_LOG"):
        erase(story)
    assert export_client(ZINNIA[1], clock.now())["email"] == ZINNIA[1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restored_postgresql_is_erased_again_by_the_upgrade(
    story: Story, app: Flask, log: Path, database_url: str, tmp_path: Path
) -> None:
    ask(story)
    file = tmp_path / "backup"
    postgresql_tool("pg_dump", "-Fc", "--no-owner", f"--file={file}", database_url)
    story.cancel(Booking.get(), by=Actor.CLIENT)
    erase(story)
    database.release()
    again = beside(database_url, "again")
    postgresql_tool("createdb", f"--maintenance-db={database_url}", "again")
    try:
        postgresql_tool("pg_restore", "--no-owner", f"--dbname={again}", str(file))
        database.bind(again)
        assert run(["db", "upgrade"], create=lambda: app) == 0
        with database.connection():
            assert Client.get().is_erased
            assert Writing.select().count() == 0
    finally:
        database.bind(database_url)
        postgresql_tool("dropdb", f"--maintenance-db={database_url}", "again")


@pytest.mark.both_databases
def test_the_words_of_mail_servers_name_no_person(
    story: Story, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    ask(story)
    refusals = {
        f"rcpt {ZINNIA[1]}": "550 5.1.1 ZINNIA Quetzalcoatl has left clients.example",
        "rcpt asha@therapists.example": f"550 5.7.1 no mail{' of' * 60} Asha about Quetzalcoatl",
    }
    with FaultyServer(refusals) as server:
        total(sender_to(app, server.port).deliver())
    kept = [*(each.said for each in DeliveryAttempt.select()), MailPause.get().reason]
    assert "recipient: 550 5.1.1 *** has left ***" in kept
    logged = repr([record.msg for record in caplog.records])
    for word in ("zinnia", "quetzal", "clients.example", "asha ", "therapists.example"):
        assert word not in f"{kept}{logged}".lower()


def test_what_mail_servers_said_before_names_were_masked_goes_too(story: Story, app: Flask) -> None:
    booking = ask(story)
    with FaultyServer({"rcpt": "550 5.7.1 no"}) as server:
        total(sender_to(app, server.port).deliver())
    DeliveryAttempt.update(said="recipient: 550 5.7.1 no mail about Quetzalcoatl").execute()
    OutboxEmail.update(last_error="no mail about Quetzalcoatl").execute()
    told = OutboxEmail.get(OutboxEmail.kind == "booking_requested")
    kept = {"reason": "550 quetzalcoatl is not welcome", "at": story.now}
    Suppression.create(address_key="asha@therapists.example", email=told, **kept)
    MailPause.delete().execute()
    for scope in ("*", "therapists.example", "clients.example", "elsewhere.example"):
        MailPause.create(scope=scope, until=story.now, refused_at=story.now, **kept)
    story.cancel(booking, by=Actor.CLIENT)
    change_address(ZINNIA[1], "z@elsewhere.example", story.now)
    erase_client("z@elsewhere.example", story.now)
    assert [each.said for each in DeliveryAttempt.select() if each.said] == []
    errors = {each.last_error for each in OutboxEmail.select()}
    assert errors <= {None, "the client was erased"}
    assert suppressions.of_address(ZINNIA[1]) is None
    assert Suppression.get().reason == "550 *** is not welcome"
    # Nothing waits for the domain of the erased client, so its pause would never end.
    assert {(each.scope, each.reason) for each in MailPause.select()} == {
        ("*", "550 *** is not welcome"),
        ("therapists.example", "550 *** is not welcome"),
    }

"""Stored text opens in the row and for the purpose that it was written for, and nowhere else."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from app import clock, config
from app.config import Settings
from app.errors import NotesKeyWrong, StoredTextMoved
from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.ops import rekey
from app.store import encryption, queries
from app.store.db import database
from app.store.models import Booking, Purpose, Writing
from tests.scenarios.story import ELI, Story


@pytest.fixture
def two(story: Story) -> tuple[Booking, Booking]:
    """Bookings of two therapists, each with a note and messages."""
    first = story.ask("asha", note="of Dee for Asha")
    story.wait(minutes=1)
    at = first.starts_at + timedelta(hours=5)
    other = story.ask("bran", client=ELI, note="of Eli for Bran", starts_at=at)
    story.accept(first)
    messages.send(first, "first message", author=Actor.CLIENT, now=story.now)
    story.wait(minutes=1)
    messages.send(first, "second message", author=Actor.CLIENT, now=story.now)
    return first, other


# What somebody with access to the database could write; {0} and {1} are ids of the two bookings.
MOVES = {
    "another booking": "UPDATE writing SET booking_id = {1} WHERE booking_id = {0}",
    "another purpose": "UPDATE writing SET purpose = 'message' WHERE purpose = 'note'",
    "another author": "UPDATE writing SET author = 'therapist' WHERE author = 'client'",
    "another time": "UPDATE writing SET created_at = created_at + 60000000",
    "a body from another row": "UPDATE writing SET body = (SELECT body FROM writing"
    " WHERE booking_id = {1}) WHERE booking_id = {0}",
    "a body of the same booking": "UPDATE writing SET body = (SELECT MAX(body) FROM writing WHERE"
    " id = 4) WHERE id = 3",
    "a body cut short": "UPDATE writing SET body = SUBSTR(body, 1, 60)",
}


@pytest.mark.both_databases
@pytest.mark.parametrize("statement", MOVES.values(), ids=MOVES)
def test_an_update_moves_no_text_to_another_place(
    two: tuple[Booking, Booking], statement: str
) -> None:
    before = {each.id: each.body for each in Writing.select()}
    assert len(set(before.values())) == 4
    database.db.execute_sql(statement.format(two[0].id, two[1].id))
    refused = 0
    for each in Writing.select():
        try:
            assert each.body == before[each.id]
        except StoredTextMoved:
            refused += 1
    assert refused


def as_release_0_1(key: str) -> None:
    """Store every text as the last release did."""
    for each in Writing.select():
        token = Fernet(key).encrypt(each.body.encode()).decode()
        mark = database.db.obj.param
        sql = f"UPDATE writing SET body = {mark} WHERE id = {mark}"
        database.db.execute_sql(sql, (token, each.id))


def stored() -> list[str]:
    return [row[0] for row in database.db.execute_sql("SELECT body FROM writing ORDER BY id")]


def test_a_text_is_written_bound_and_says_its_key_and_not_its_words(
    two: tuple[Booking, Booking], settings: Settings
) -> None:
    for text in stored():
        assert text.startswith(f"v2.{encryption.fingerprint(settings.notes_key[0])}.")
        assert "Dee" not in text


@pytest.mark.both_databases
def test_rekey_binds_what_release_0_1_wrote_which_is_read_before_and_after(
    two: tuple[Booking, Booking], settings: Settings
) -> None:
    as_release_0_1(settings.notes_key[0])
    read = [each.body for each in Writing.select().order_by(Writing.id)]
    assert "of Dee for Asha" in read
    assert rekey.stale_count() == 4
    assert sum(rekey.rekey(clock.now()), rekey.Progress()) == rekey.Progress(rewritten=4)
    assert all(text.startswith(encryption.current_prefix()) for text in stored())
    assert [each.body for each in Writing.select().order_by(Writing.id)] == read
    assert list(rekey.rekey(clock.now())) == []


def test_rekey_can_be_stopped_and_goes_on_until_the_old_key_is_not_needed(
    two: tuple[Booking, Booking], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = Fernet.generate_key().decode(), settings.notes_key[0]
    config.use(settings.model_copy(update={"notes_key": (new, old)}))
    monkeypatch.setattr(rekey, "BATCH", 1)
    stopped = rekey.rekey(clock.now())
    assert next(stopped) == rekey.Progress(rewritten=1)
    stopped.close()
    assert rekey.stale_count() == 3
    assert len(list(rekey.rekey(clock.now()))) == 3
    config.use(settings.model_copy(update={"notes_key": (new,)}))
    notes = queries.writings_of(two[0], Purpose.NOTE)
    assert [each.body for each in notes] == ["of Dee for Asha"]


@pytest.mark.both_databases
def test_a_text_whose_key_is_gone_stays_and_its_error_names_the_key(
    two: tuple[Booking, Booking], settings: Settings
) -> None:
    config.use(settings.model_copy(update={"notes_key": (Fernet.generate_key().decode(),)}))
    before = stored()
    assert sum(rekey.rekey(clock.now()), rekey.Progress()) == rekey.Progress(unreadable=4)
    assert stored() == before
    with pytest.raises(NotesKeyWrong, match=encryption.fingerprint(settings.notes_key[0])):
        _ = Writing.get().body


@pytest.mark.both_databases
def test_a_text_of_an_unknown_row_is_neither_written_nor_read(story: Story) -> None:
    booking = story.ask(note="for Asha")
    with pytest.raises(TypeError, match="bound to booking"):
        Writing.update(body="planted").where(Writing.booking == booking).execute()
    with pytest.raises(TypeError, match="bound to booking"):
        _ = Writing.select(Writing.body).get().body

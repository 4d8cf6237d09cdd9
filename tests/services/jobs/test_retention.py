"""RETENTION_MONTHS: what goes, what stays, and that looking for it costs next to nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import config
from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.clients.export import export_client
from app.services.clients.links import send_links
from app.services.jobs import due, retention
from app.services.ops import replay
from app.store.db import database
from app.store.models import (
    AccessEntry,
    Booking,
    DeliveryAttempt,
    OutboxEmail,
    TimelineEntry,
    Writing,
)
from tests.scenarios.story import DEE, ELI, Story, total

DAY = timedelta(days=1)


@contextmanager
def kept_for(months: int | None, private: int | None = None) -> Iterator[None]:
    before = config.current()
    names = ("retention_months", "retention_private_notes_months")
    config.use(before.model_copy(update=dict(zip(names, (months, private), strict=True))))
    yield
    config.use(before)


def lived(story: Story, client: tuple[str, str, str] = DEE, **more: Any) -> Booking:
    """A session that took place, with a note, messages and a private note."""
    booking = story.ask(client=client, note="the note", **more)
    story.accept(booking)
    messages.send(booking, "a message", author=Actor.CLIENT, now=story.now)
    messages.keep_private_note(booking, "mine", now=story.now)
    send_links(client[1], story.now)
    story.deliver()
    story.at(booking.completes_at)
    story.sweep()
    story.deliver()
    return story.reload(booking)


def words(booking: Booking) -> set[str]:
    return {str(each.purpose) for each in Writing.select().where(Writing.booking == booking)}


ALL = {"note", "message", "private_note"}


@pytest.mark.parametrize(
    ("months", "private", "age", "left"),
    [
        (None, None, 4000 * DAY, ALL),
        (6, None, 180 * DAY, ALL),
        (6, None, 186 * DAY, {"private_note"}),
        (None, 6, 186 * DAY, {"note", "message"}),
        (6, 120, 3600 * DAY, {"private_note"}),
        (6, 120, 3700 * DAY, set()),
    ],
)
def test_words_go_after_their_time_and_private_notes_by_their_own(
    story: Story, months: int | None, private: int | None, age: timedelta, left: set[str]
) -> None:
    booking = lived(story)
    story.at(booking.ends_at + age)
    with kept_for(months, private):
        story.sweep()
    assert words(booking) == left


@pytest.mark.both_databases
def test_emails_and_the_words_of_the_timeline_go_and_what_happened_stays(story: Story) -> None:
    booking = lived(story)
    other = lived(story, ELI, starts_at=story.now.replace(hour=10, minute=0) + 400 * DAY / 10)
    DeliveryAttempt.update(said="550 no such Dee").execute()
    timeline, money = story.timeline(booking), story.balances(booking)
    attempts = DeliveryAttempt.select().count()
    story.at(booking.ends_at + 35 * DAY)
    with kept_for(1):
        assert total(due.purge(story.now)).done >= 1
        assert total(retention.clear(story.now)).due == 0
    assert words(booking) == {"private_note"}
    assert words(other) == ALL
    left = {each.booking_id or each.client_id for each in OutboxEmail.select()}
    assert booking.id not in left and other.id in left
    assert not OutboxEmail.select().where(OutboxEmail.client == booking.client).exists()
    assert DeliveryAttempt.select().count() == attempts
    gone = DeliveryAttempt.select().where(DeliveryAttempt.email.is_null())
    assert {each.said for each in gone} == {None}
    first = TimelineEntry.get(TimelineEntry.booking == booking, TimelineEntry.event == "requested")
    assert not {"therapist_given_name", "therapist_timezone", "organizer"} & set(first.facts)
    assert (story.timeline(booking), story.balances(booking)) == (timeline, money)
    assert list(replay.find_differences(story.now)) == []
    assert export_client(DEE[1], story.now)["bookings"][0]["written"] == []
    assert not AccessEntry.select().where(AccessEntry.about == "note").exists()


@pytest.mark.both_databases
def test_a_client_who_has_a_live_booking_keeps_the_words_of_all(story: Story) -> None:
    booking = lived(story)
    story.at((booking.ends_at + 60 * DAY).replace(hour=8, minute=0))
    live = story.ask(starts_at=story.now + 10 * DAY + timedelta(hours=2))
    with kept_for(1, 1):
        story.sweep()
        assert words(booking) == ALL
        story.withdraw(live)
        story.sweep()
        assert words(booking) == set()


def test_many_are_cleared_in_small_batches(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    start = story.now.replace(hour=10) + 2 * DAY
    for number in range(5):
        story.decline(story.ask(starts_at=start + number * DAY, note="a note"), reason="no")
    story.at(start + 60 * DAY)
    with kept_for(1):
        assert [each.done for each in retention.clear(story.now)] == [2, 2, 1]
    assert not Writing.select().exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_for_what_is_due_reads_an_index_of_what_is_left_alone(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []
    execute = database.db.obj.execute_sql

    def listen(sql: str, params: Any = None) -> Any:
        asked.append((sql, params))
        return execute(sql, params)

    monkeypatch.setattr(database.db.obj, "execute_sql", listen)
    with kept_for(1, 1):
        assert list(retention.clear(story.now)) == []
    plans = [
        [row[-1] for row in execute(f"EXPLAIN QUERY PLAN {sql}", params)]
        for sql, params in asked
        if sql.startswith("SELECT")
    ]
    assert ["booking_words" in plans[0][0], "writing_private_notes" in plans[1][0]] == [True, True]
    # The live bookings alone.
    scans = [step for plan in plans for step in plan if step.startswith("SCAN")]
    assert [each for each in scans if each.split()[-1] not in of_live_bookings(execute)] == []


def of_live_bookings(execute: Callable[[str], Any]) -> set[str]:
    indexes = execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")
    return {name for name, sql in indexes if re.search(r"WHERE \(*status = ", sql.replace('"', ""))}


@pytest.mark.parametrize(
    ("now", "months", "expected"),
    [
        ((2026, 11, 30), 9, (2026, 2, 28)),
        ((2028, 3, 31), 1, (2028, 2, 29)),
        ((2026, 1, 15), 1, (2025, 12, 15)),
        ((2026, 12, 15), 12, (2025, 12, 15)),
        ((2026, 12, 15), 24, (2024, 12, 15)),
    ],
)
def test_months_are_those_of_the_calendar(
    now: tuple[int, int, int], months: int, expected: tuple[int, int, int]
) -> None:
    found = retention.months_before(datetime(*now, 9, 30, tzinfo=UTC), months)
    assert found == datetime(*expected, 9, 30, tzinfo=UTC)

"""Sweeps while somebody keeps a lock: all that can be done is done, and nobody is blamed."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import psycopg
import pytest

from app.errors import StoreUnavailable
from app.services.jobs import batching, due
from app.services.therapists import ranking
from app.store.db import database, postgresql
from app.store.db.database import db
from app.store.models import Booking, OutboxEmail, Therapist
from tests.conftest import MONDAY
from tests.scenarios.story import ELI, Story, total
from tests.slow.faults.test_database_file import file_of

pytestmark = pytest.mark.both_databases

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def fall_due(now: datetime) -> None:
    """All three are due, and Asha for the longest."""
    Therapist.update(streak=5, standing_due_at=now, ranking_due_at=now).execute()
    before = now - timedelta(hours=1)
    Therapist.update(standing_due_at=before, ranking_due_at=before).where(
        Therapist.slug == "asha"
    ).execute()


@pytest.fixture
def impatient(story: Story, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for in moments."""
    monkeypatch.setitem(postgresql.LIMITS, "lock_timeout", "100ms")
    database.bind(database_url)


@POSTGRESQL
def test_a_therapist_whom_somebody_keeps_locked_keeps_no_other_from_standing_and_score(
    story: Story, database_url: str, impatient: None
) -> None:
    fall_due(story.now)
    with psycopg.connect(database_url) as shell:
        shell.execute("SELECT 1 FROM therapist WHERE slug = 'asha' FOR UPDATE")
        parts = due.apply_standing(story.now)
        assert [next(parts).done, next(parts).done] == [1, 1]
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            total(parts)
        for due_at in (Therapist.standing_due_at, Therapist.ranking_due_at):
            left = Therapist.select().where(due_at <= story.now)
            assert [each.slug for each in left] == ["asha"]
    assert total(due.apply_standing(story.now)).done == 1


@POSTGRESQL
def test_a_lock_that_was_let_go_meanwhile_is_had_in_the_same_run(
    story: Story, database_url: str
) -> None:
    fall_due(story.now)
    parts = batching.each_therapist(
        Therapist.ranking_due_at, story.now, lambda each: ranking.refresh(each.id, story.now)
    )
    with psycopg.connect(database_url) as shell:
        shell.execute("SELECT 1 FROM therapist WHERE slug = 'asha' FOR UPDATE")
        assert [next(parts).done, next(parts).done] == [1, 1]
    last = next(parts)
    assert (last.done, last.oldest_at) == (1, story.now - timedelta(hours=1))
    assert list(parts) == []


@POSTGRESQL
def test_a_therapist_whom_somebody_keeps_locked_keeps_nobody_from_either_reminder(
    story: Story, database_url: str, impatient: None
) -> None:
    soon, tomorrow = MONDAY.replace(hour=16), MONDAY.replace(hour=16) + timedelta(days=3)
    accepted = [
        story.ask(starts_at=soon),
        story.ask("bran", client=ELI, starts_at=soon),
        story.ask("bran", client=ELI, starts_at=tomorrow),
    ]
    for booking in accepted:
        story.accept(booking)
    story.at(soon - timedelta(hours=1))
    Booking.update(day_reminder_due_at=story.now).where(Booking.starts_at == tomorrow).execute()
    with psycopg.connect(database_url) as shell:
        shell.execute("SELECT 1 FROM therapist WHERE slug = 'asha' FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            total(due.remind_sessions(story.now))
    told = OutboxEmail.select().where(OutboxEmail.kind == "session_reminder")
    assert {each.booking_id for each in told} == {booking.id for booking in accepted[1:]}


@SQLITE
def test_a_file_that_is_kept_locked_is_waited_for_and_no_therapist_is_blamed(
    story: Story, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fall_due(story.now)
    db.execute_sql("PRAGMA busy_timeout = 100")
    with closing(sqlite3.connect(file_of(database_url), isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            total(due.apply_standing(story.now))
    assert "sweep_failed" not in capsys.readouterr().err
    assert total(due.apply_standing(story.now)).done == 3


def test_a_database_that_goes_away_while_bookings_are_taken_one_by_one_ends_the_run(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    story.ask("bran", client=ELI, starts_at=MONDAY.replace(hour=16) + timedelta(days=3))
    faults = [RuntimeError("a fault of one"), StoreUnavailable("it is gone")]

    def act(_booking: Booking) -> bool:
        raise faults.pop(0)

    everything = batching.each_booking(Booking.id > 0, Booking.expires_at, act)
    with pytest.raises(StoreUnavailable, match="it is gone"):
        total(everything)
    assert faults == []
    assert "sweep_failed" not in capsys.readouterr().err

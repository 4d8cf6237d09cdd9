"""Sweeps while another session keeps a lock or one booking fails: everything else is done."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest

from app.errors import StoreUnavailable
from app.services.bookings import log, transitions
from app.services.jobs import batching, due
from app.store.db.database import db
from app.store.models import Booking, OutboxEmail, Therapist
from app.store.queries import DueBookings
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import ELI, Story, total
from tests.slow.faults.test_database_file import file_of

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def fall_due(now: datetime) -> None:
    """Standing and score of all three therapists are due, those of Asha for the longest."""
    Therapist.update(streak=5, standing_due_at=now, ranking_due_at=now).execute()
    before = now - timedelta(hours=1)
    Therapist.update(standing_due_at=before, ranking_due_at=before).where(
        Therapist.slug == "asha"
    ).execute()


@contextmanager
def asha_locked(database_url: str) -> Iterator[None]:
    """Another session keeps Asha's row locked, as a forgotten shell does."""
    with psycopg.connect(database_url) as shell:
        shell.execute("SELECT 1 FROM therapist WHERE slug = 'asha' FOR UPDATE")
        yield


@pytest.mark.both_databases
@POSTGRESQL
def test_a_locked_therapist_keeps_no_other_from_standing_and_score_and_is_taken_by_the_next_run(
    story: Story, database_url: str
) -> None:
    fall_due(story.now)
    with asha_locked(database_url):
        run = total(due.apply_standing(story.now))
        assert (run.due, run.done, run.failed) == (3, 2, 0)
        assert run.oldest_at == story.now - timedelta(hours=1)
        for due_at in (Therapist.standing_due_at, Therapist.ranking_due_at):
            left = Therapist.select().where(due_at <= story.now)
            assert [each.slug for each in left] == ["asha"]
    assert total(due.apply_standing(story.now)).done == 1
    assert not Therapist.select().where(Therapist.ranking_due_at <= story.now).exists()


@pytest.mark.both_databases
@POSTGRESQL
def test_a_locked_therapist_keeps_no_session_of_others_from_its_reminders(
    story: Story, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that a batch could be full of Asha's alone.
    monkeypatch.setattr(batching, "BATCH", 1)
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
    with asha_locked(database_url):
        assert total(due.remind_sessions(story.now)).done == 2
    reminders = OutboxEmail.select().where(OutboxEmail.kind == "session_reminder")
    assert {each.booking_id for each in reminders} == {booking.id for booking in accepted[1:]}
    assert total(due.remind_sessions(story.now)).done == 1


@pytest.mark.both_databases
@POSTGRESQL
def test_what_stays_locked_is_reported_as_due_and_not_as_failed(
    story: Story, database_url: str
) -> None:
    booking = story.ask()
    story.wait(hours=3, minutes=1)
    with asha_locked(database_url):
        (run,) = due.escalate_late(story.now)
    assert (run.due, run.done, run.failed) == (1, 0, 0)
    assert run.oldest_at == booking.answer_by


@SQLITE
def test_a_locked_file_is_waited_for_and_is_no_failure_of_a_therapist(
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


def ask_twice(story: Story) -> list[Booking]:
    later = MONDAY.replace(hour=16) + timedelta(days=3)
    return [story.ask(), story.ask("bran", client=ELI, starts_at=later)]


def all_with_reminders() -> DueBookings:
    return DueBookings(Booking.expires_at, lambda: Booking.reminder_due_at.is_null(False))


@pytest.mark.both_databases
def test_a_database_that_goes_away_ends_the_run_and_undoes_its_batch(story: Story) -> None:
    ask_twice(story)

    def step(booking: Booking) -> bool:
        if booking.therapist.slug == "bran":
            raise StoreUnavailable("it is gone")
        transitions.set_reminders(booking, reminder_due_at=None)
        return True

    with pytest.raises(StoreUnavailable, match="it is gone"):
        total(batching.each_booking(all_with_reminders(), [], step))
    assert not Booking.select().where(Booking.reminder_due_at.is_null()).exists()


@pytest.mark.both_databases
def test_a_booking_that_fails_is_undone_alone_with_what_it_would_have_logged(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = ask_twice(story)

    def step(booking: Booking) -> bool:
        transitions.set_reminders(booking, reminder_due_at=None)
        log.booking_event("reminded", booking)
        if booking.id == bad.id:
            raise RuntimeError("a fault of one")
        return True

    run = total(batching.each_booking(all_with_reminders(), [], step))
    assert (run.due, run.done, run.failed) == (2, 1, 1)
    assert story.reload(good).reminder_due_at is None
    assert story.reload(bad).reminder_due_at is not None
    said = capsys.readouterr().err
    assert said.count("event=reminded") == 1
    assert f"event=sweep_failed booking={bad.reference}" in said

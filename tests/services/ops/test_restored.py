"""After a restore: emails that had left are skipped by their time, and the later ones are sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import links
from app.cli import run
from app.links import LinkPurpose
from app.rules.lifecycle import Actor
from app.services import auth, sessions
from app.services.mail import batch
from app.services.ops import backup as backups
from app.services.ops import outbox_skip
from app.store import claiming, outbox, queries
from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus, SignIn, Therapist
from tests.harness.databases import beside, postgresql_tool
from tests.harness.smtp_server import Accepted
from tests.scenarios.story import ELI, Story, sender_to, total

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HALF_AN_HOUR = timedelta(minutes=30)


def message_ids(sent: list[Accepted]) -> set[str]:
    return {each.parsed["Message-ID"] for each in sent}


def kinds(sent: list[Accepted]) -> list[str]:
    return sorted({each.kind for each in sent})


def pass_until(story: Story, until: datetime) -> list[Accepted]:
    """Let time pass with the scheduler running; the emails that left."""
    left = []
    while story.now < until:
        story.wait(seconds=min(HALF_AN_HOUR, until - story.now).total_seconds())
        story.sweep()
        left += story.sent()
    return left


@dataclass(frozen=True)
class Recipe:
    """Backup and restore as docs/operations.md has it for the database in use."""

    app: Flask
    url: str
    file: Path

    def back_up(self) -> None:
        if database.is_sqlite():
            backups.backup(self.file)
        else:
            postgresql_tool("pg_dump", "-Fc", "--no-owner", f"--file={self.file}", self.url)

    def restore(self, now: datetime) -> None:
        # Web and scheduler are stopped.
        database.release()
        if database.is_sqlite():
            backups.restore(self.file, backups.live_file(), now, replace=True)
            return
        empty = beside(self.url, "restored")
        postgresql_tool("createdb", f"--maintenance-db={self.url}", "restored")
        postgresql_tool(
            "pg_restore", "--no-owner", "--exit-on-error", "--single-transaction",
            f"--dbname={empty}", str(self.file),
        )  # fmt: skip
        database.bind(empty)
        assert run(["db", "upgrade"], create=lambda: self.app) == 0
        assert run(["outbox", "hold"], create=lambda: self.app) == 0
        assert run(["therapist", "sign-out", "--all"], create=lambda: self.app) == 0


@pytest.fixture
def recipe(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Recipe]:
    yield Recipe(app, database_url, tmp_path / "backup")
    if not database.is_sqlite():
        database.bind(database_url)
        postgresql_tool("dropdb", "--if-exists", f"--maintenance-db={database_url}", "restored")


def busy_night(story: Story) -> None:
    """Bookings with many steps that fall due in the next hours."""
    old = story.ask("bran", client=ELI, starts_at=story.now + timedelta(hours=56))
    pass_until(story, story.now + timedelta(hours=22))
    soon = story.ask("asha", starts_at=story.now + timedelta(hours=5, minutes=30))
    late = story.ask("asha", client=ELI, starts_at=story.now + timedelta(hours=29))
    story.accept(soon)
    story.accept(late)
    story.ask("asha", starts_at=story.now + timedelta(hours=30))
    for day in (3, 4, 5):
        doomed = story.ask("asha", starts_at=story.now + timedelta(days=day, hours=2))
        story.accept(doomed)
        story.cancel(doomed, by=Actor.THERAPIST)
    story.sent()
    assert story.reload(old).status == "requested"


def test_no_email_that_had_left_is_sent_again_and_later_ones_are_sent(
    story: Story, app: Flask, recipe: Recipe
) -> None:
    busy_night(story)
    recipe.back_up()
    had_left = pass_until(story, story.now + timedelta(hours=4))
    assert kinds(had_left) == [
        "answer_late", "answer_late_client", "answer_late_ops", "answer_reminder",
        "booking_expired", "enquiry_expired", "session_reminder", "streak_warning",
    ]  # fmt: skip
    lost_at = story.wait(seconds=1)
    story.wait(hours=1)
    recipe.restore(story.now)
    story.sweep()
    assert story.sent() == []
    assert run(["outbox", "skip", "--due-before", lost_at.isoformat()], create=lambda: app) == 0
    assert run(["outbox", "release"], create=lambda: app) == 0
    leave = story.sent() + pass_until(story, story.now + timedelta(hours=1))
    assert message_ids(leave) & message_ids(had_left) == set()
    assert kinds(leave) == ["session_reminder"]


@pytest.mark.both_databases
def test_those_who_signed_out_since_the_backup_are_not_signed_in_again(
    story: Story, recipe: Recipe
) -> None:
    asha = Therapist.get(slug="asha")
    secret = sessions.start(asha, browser="A browser", is_kept=True, now=story.now)
    auth.request_sign_in(asha.email, "", story.now)
    link = links.mint(LinkPurpose.SIGN_IN, holder=asha.link_holder, subject=SignIn.get().key)
    recipe.back_up()
    sessions.end_all("asha", story.now)
    recipe.restore(story.now)
    assert sessions.find(secret, story.now) is None
    assert auth.usable_sign_in(links.read(LinkPurpose.SIGN_IN, link), story.now) is None


@on_sqlite
def test_an_email_that_was_claimed_when_the_backup_was_made_is_queued_again(
    story: Story, tmp_path: Path
) -> None:
    story.ask()
    asked_at = story.now
    story.wait(minutes=5)
    claims = claiming.claim(story.now, 9)
    backups.backup(tmp_path / "one.db")
    lost_at = story.wait(seconds=1)
    database.release()
    backups.restore(tmp_path / "one.db", backups.live_file(), story.now, replace=True)
    assert [
        (each.status, each.lease_token, each.due_at) for each in OutboxEmail.select()
    ] == [(OutboxStatus.QUEUED, None, asked_at)] * 2  # fmt: skip
    assert claiming.renew(claims, story.now) == 0
    assert outbox_skip.skip([claims[0].email.id], story.now) == 1
    assert outbox_skip.skip_due_before(lost_at, story.now).skipped == 1


def test_emails_of_a_lost_scheduler_count_as_due_before_it_claimed_them(story: Story) -> None:
    story.ask()
    claiming.claim(story.now, 9)
    lost_at = story.wait(seconds=1)
    left = outbox_skip.skip_due_before(lost_at, story.now)
    assert (left.skipped, left.in_hand, left.is_complete) == (0, 2, False)
    assert left.in_hand_until is not None
    story.at(left.in_hand_until)
    left = outbox_skip.skip_due_before(lost_at, story.now)
    assert (left.skipped, left.in_hand, left.is_complete) == (2, 0, True)


def test_an_email_that_is_given_back_is_due_since_it_was_before(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "STORE_AFTER_S", 0)
    story.ask()
    parts = sender_to(story.app, story.mail.port).deliver()
    next(parts)
    lost_at = story.wait(seconds=1)
    outbox.hold(story.now)
    assert outbox_skip.skip_due_before(lost_at, story.now).in_hand == 1
    total(parts)
    assert outbox_skip.skip_due_before(lost_at, story.now).skipped == 1
    outbox.release(story.now)
    assert story.sent() == []


def test_an_email_about_an_enquiry_made_after_the_loss_is_sent(
    story: Story,
) -> None:
    for hours in (48, 50, 52, 54, 72):
        doomed = story.ask(starts_at=story.now + timedelta(hours=hours))
        story.accept(doomed)
        story.cancel(doomed, by=Actor.THERAPIST)
    story.deliver()
    lost_at = story.wait(seconds=1)
    story.wait(seconds=1)
    asked = story.ask(client=ELI, starts_at=lost_at.replace(second=0) + timedelta(hours=74))
    assert outbox_skip.skip_due_before(lost_at, story.now).is_complete
    assert story.reload(asked).status == "expired"
    assert ("booking_expired", ELI[1]) in story.deliver()


def test_a_time_still_to_come_is_refused_and_skips_nothing(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    assert run(["outbox", "skip", "--due-before", "2099-01-01T00:00:00Z"], create=lambda: app) == 2
    assert "--due-before should be in the past" in capsys.readouterr().err
    assert len(story.sent()) == 2


def test_ops_hears_of_emails_that_a_scheduler_has_in_hand(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    claiming.claim(story.now, 1)
    lost_at = story.wait(seconds=1)
    assert run(["outbox", "skip", "--due-before", lost_at.isoformat()], create=lambda: app) == 1
    said = capsys.readouterr()
    assert said.out == "Skipped: 1.\n"
    assert "1 more" in said.err
    assert "until 2026-11-02T09:00:08Z" in said.err


@pytest.mark.both_databases
def test_ops_hears_of_a_step_that_another_process_has_locked(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story.ask()
    lost_at = story.wait(hours=3, minutes=1)
    monkeypatch.setattr(queries.DueBookings, "locked", lambda *_: [])
    assert run(["outbox", "skip", "--due-before", lost_at.isoformat()], create=lambda: app) == 1
    error = capsys.readouterr().err
    assert "steps are still to be taken" in error
    assert "locked" in error
    assert "logged" not in error


def test_skipping_takes_every_due_step_first_to_skip_its_emails_too(
    story: Story,
) -> None:
    story.ask()
    story.deliver()
    lost_at = story.wait(hours=3, minutes=1)
    assert outbox_skip.skip_due_before(lost_at, story.now).skipped == 3
    story.sweep()
    assert story.sent() == []

"""The history of the demo: made by the services, complete, and over when the demo starts."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock, create_app
from app.config import Settings
from app.demo import history, therapists
from app.demo.maildir import stored_messages
from app.rules.lifecycle import Status
from app.services.ops import replay
from app.services.therapists import earnings
from app.store import queries
from app.store.db import database
from app.store.models import Booking, LedgerLine, OutboxEmail, OutboxStatus, TimelineEntry
from app.store.queries import calendar

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@pytest.fixture
def demo(database_url: str, folder: Path) -> Iterator[Flask]:
    """A demo whose history has been made."""
    folder.mkdir()
    app = create_app(Settings(database_url=database_url, demo_dir=folder))
    try:
        with app.app_context(), database.connection():
            therapists.add_missing(clock.now())
            history.make(app, folder)
            yield app
    finally:
        clock.follow(None)


def test_the_history_has_something_of_everything_and_ends_now(demo: Flask, folder: Path) -> None:
    assert not (folder / "clock").exists()
    now = clock.now()
    statuses = Counter(booking.status for booking in Booking.select())
    assert set(statuses) == set(Status) - {Status.WITHDRAWN}
    assert statuses[Status.COMPLETED] >= 8
    lines = [*TimelineEntry.select()]
    assert {"late", "moved", "reminded"} <= {line.event for line in lines}
    assert max(line.at for line in lines) <= now
    assert min(line.at for line in lines) < now - timedelta(days=19)
    asha = queries.therapist_by_slug("asha")
    assert len(calendar.unread_of(asha)) == 1
    assert sum(sums.sessions for each in earnings.by_month(asha).values() for sums in each.values())
    scores = {each.slug: each.score for each in queries.every_therapist()}
    assert scores["bran"] < scores["farah"] < scores["asha"] < scores["chi"]
    assert sum(line.amount_minor for line in LedgerLine.select()) == 0
    assert list(replay.find_differences(now)) == []


def test_its_emails_are_in_the_mailbox_with_the_moments_of_the_history(
    demo: Flask, folder: Path
) -> None:
    sent = [*OutboxEmail.select()]
    assert {email.status for email in sent} == {OutboxStatus.SENT}
    stored = stored_messages(folder / "mail")
    assert len(stored) == len(sent)
    assert stored[-1].received_at < clock.now() - timedelta(days=19)
    kinds = {message.message["X-Mindsum-Email"] for message in stored}
    assert {"answer_late", "new_message", "no_show_recorded", "booking_expired"} <= kinds

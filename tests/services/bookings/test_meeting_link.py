"""A changed meeting link reaches both sides of each session ahead, once, as an update."""

from datetime import timedelta
from typing import Any

import pytest
from icalendar import Calendar

from app.rules.lifecycle import Actor
from app.services.therapists import profile
from app.store import queries
from app.store.models import Booking, OutboxEmail, OutboxStatus
from tests.harness.smtp_server import Accepted
from tests.scenarios.story import Story

NEW = "https://meet.example/new-room"
ENTRIES = {"booking_accepted", "session_confirmed"}


def change(story: Story, url: str | None = NEW, **others: object) -> None:
    profile.update("asha", {"meeting_url": url, **others}, story.now)


def updates(booking: Booking) -> list[OutboxEmail]:
    emails = OutboxEmail.select().where(OutboxEmail.booking == booking).order_by(OutboxEmail.id)
    return [each for each in emails if each.facts.get("has_new_link")]


def entry(mail: Accepted) -> Any:
    [part] = [each for each in mail.parsed.walk() if each.get_content_type() == "text/calendar"]
    calendar = Calendar.from_ical(part.get_payload(decode=True))
    assert str(calendar["METHOD"]) == "REQUEST"
    [event] = calendar.walk("VEVENT")
    return event


def entries(story: Story, booking: Booking) -> dict[str, list[Any]]:
    """Each address's calendar entries of the booking that say it is confirmed, oldest first."""
    story.deliver()
    found: dict[str, list[Any]] = {}
    for mail in story.mail.messages:
        about = mail.parsed["X-Mindsum-Booking"] == booking.reference
        if about and mail.kind in ENTRIES:
            found.setdefault(str(mail.parsed["To"]), []).append(entry(mail))
    return found


def test_both_sides_of_a_session_get_a_newer_entry_with_the_new_link(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    before = entries(story, booking)
    change(story)
    after = entries(story, booking)
    assert len(after) == 2
    for address, (first, second) in after.items():
        assert before[address] == [first]
        assert (first["UID"], first["ORGANIZER"]) == (second["UID"], second["ORGANIZER"])
        assert (int(first["SEQUENCE"]), int(second["SEQUENCE"])) == (1, 2)
        assert second["LOCATION"] == NEW
    assert len({each.parsed["Message-ID"] for each in story.mail.messages}) == 4


@pytest.mark.both_databases
def test_a_cancellation_after_a_new_link_is_newer_still(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    change(story)
    story.cancel(booking, Actor.THERAPIST)
    assert queries.booking_by_reference(booking.reference).sequence == 3


def unanswered(story: Story) -> Booking:
    return story.ask()


def cancelled(story: Story) -> Booking:
    booking = story.ask()
    story.accept(booking)
    story.cancel(booking, Actor.CLIENT)
    return booking


def started(story: Story) -> Booking:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.starts_at)
    return booking


def of_another(story: Story) -> Booking:
    booking = story.ask("bran", starts_at=story.now + timedelta(hours=56))
    story.accept(booking)
    return booking


@pytest.mark.parametrize("make", [unanswered, cancelled, started, of_another])
def test_a_booking_without_a_session_ahead_of_that_therapist_is_told_nothing(
    story: Story, make: Any
) -> None:
    booking = make(story)
    before = queries.booking_by_reference(booking.reference).sequence
    change(story)
    assert updates(booking) == []
    assert queries.booking_by_reference(booking.reference).sequence == before


@pytest.mark.both_databases
def test_saving_the_same_link_or_something_else_is_told_to_no_one(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    same = queries.therapist_by_slug("asha").meeting_url
    change(story, same, rate_minor=7000, headline="New words")
    profile.update("asha", {"headline": "Newer words"}, story.now)
    assert updates(booking) == []


def test_each_change_is_told_once_and_only_the_newest_of_several_waiting(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    change(story)
    change(story, None)
    sent = entries(story, booking)
    assert [[int(each["SEQUENCE"]) for each in entries] for entries in sent.values()] == [
        [1, 3]
    ] * 2
    assert all("LOCATION" not in entries[-1] for entries in sent.values())
    states = [each.status for each in updates(booking)]
    assert states == [OutboxStatus.SKIPPED] * 2 + [OutboxStatus.SENT] * 2
    story.deliver()
    assert len(updates(booking)) == 4

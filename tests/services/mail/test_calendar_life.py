"""A moved booking in both people's calendars: one entry, at the right time, after every email."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar

from app.rules.lifecycle import Actor
from tests.harness.smtp_server import Accepted
from tests.scenarios.story import Story

WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
DAY = timedelta(days=1)
CLIENT, THERAPIST = "dee@clients.example", "asha@therapists.example"


@dataclass
class Calendars:
    """A calendar program that processes invitations (RFC 5546) by the rules of one vendor.

    `strict`: an equal SEQUENCE changes nothing (Outlook); otherwise the newer DTSTAMP decides
    (Gmail, Apple). `matches_organizer`: an update from another organizer is a new entry (Apple).
    """

    strict: bool
    matches_organizer: bool
    entries: dict[tuple[str, str], Any] = field(default_factory=dict)

    def receive(self, email: Accepted) -> None:
        for part in email.parsed.walk():
            if part.get_content_type() != "text/calendar":
                continue
            calendar = Calendar.from_ical(part.get_content())
            assert part.get_param("method") == calendar["METHOD"]
            for event in calendar.walk("VEVENT"):
                self._process(str(calendar["METHOD"]), event)

    def _process(self, method: str, event: Any) -> None:
        organizer = str(event["ORGANIZER"]) if self.matches_organizer else ""
        key = str(event["UID"]), organizer
        known = self.entries.get(key)
        if known is not None and self._age(event) <= self._age(known):
            return
        self.entries[key] = event
        event["X-GONE"] = method == "CANCEL"

    def _age(self, event: Any) -> tuple[int, datetime]:
        stamp = datetime.min.replace(tzinfo=UTC) if self.strict else event.decoded("DTSTAMP")
        return int(event["SEQUENCE"]), stamp

    @property
    def shown(self) -> list[tuple[datetime, str]]:
        """Start and status of every entry that is there."""
        return [
            (each.decoded("DTSTART"), str(each["STATUS"]))
            for each in self.entries.values()
            if not each["X-GONE"]
        ]


@pytest.mark.parametrize(
    ("strict", "matches_organizer"), [(False, False), (True, False), (False, True)]
)
def test_both_calendars_hold_one_entry_at_the_right_time_at_each_step(
    story: Story, strict: bool, matches_organizer: bool
) -> None:
    calendars = {who: Calendars(strict, matches_organizer) for who in (CLIENT, THERAPIST)}

    def then(client: list[tuple[datetime, str]], therapist: list[tuple[datetime, str]]) -> None:
        story.wait(minutes=1)
        for email in story.sent():
            if email.rcpt_tos[0] in calendars:
                calendars[email.rcpt_tos[0]].receive(email)
        assert calendars[CLIENT].shown == client
        assert calendars[THERAPIST].shown == therapist

    booking = story.ask(starts_at=WEDNESDAY_10)
    then([], [(WEDNESDAY_10, "TENTATIVE")])
    moved = WEDNESDAY_10 + DAY
    story.propose(booking, moved, by=Actor.CLIENT)
    then([], [(moved, "TENTATIVE")])
    suggested = WEDNESDAY_10 + 2 * DAY
    story.propose(booking, suggested)
    then([], [(moved, "TENTATIVE")])
    story.take(booking, suggested)
    then([(suggested, "CONFIRMED")], [(suggested, "CONFIRMED")])
    asked = suggested + timedelta(hours=3)
    story.propose(booking, asked, by=Actor.CLIENT)
    then([(suggested, "CONFIRMED")], [(suggested, "CONFIRMED")])
    story.take(booking, asked, by=Actor.THERAPIST)
    then([(asked, "CONFIRMED")], [(asked, "CONFIRMED")])
    again = asked + DAY
    story.propose(booking, again)
    story.take(booking, again)
    then([(again, "CONFIRMED")], [(again, "CONFIRMED")])
    story.cancel(story.reload(booking), Actor.CLIENT)
    then([], [])

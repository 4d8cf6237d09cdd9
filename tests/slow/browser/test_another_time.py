"""Another time by clicking, from both mailboxes, on a phone without scripts, as in production."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
from flask import Flask

from app import config
from app.rules.lifecycle import Status
from app.store.models import Booking
from tests.harness.browser_site import Person
from tests.scenarios.cast import TUESDAY_10
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive, day_of

pytestmark = pytest.mark.browser

WIDTH = 390
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def guarded(app: Flask) -> None:
    config.use(config.current().model_copy(update={"press_guard": True}))


class Unhurried(Person):
    """Reads an email minutes after it arrived, and a page for some seconds before they press."""

    def __init__(self, arrived: Person, story: Story) -> None:
        super().__init__(arrived.context, arrived.app, arrived.mail, arrived.address)
        self.story = story

    def read(self, kind: str) -> Self:
        super().read(kind)
        self.story.wait(minutes=3)
        return self

    def press(self, name: str) -> Self:
        self.story.wait(seconds=5)
        return super().press(name)


def choose(person: Person, on: str, *hours: str) -> Person:
    for hour in hours:
        day_of(person, on).get_by_text(hour, exact=True).click()
    return person


def kept(person: Person, name: str) -> None:
    """The page fits the phone; its picture is kept where PICTURES names a folder."""
    assert person.page.evaluate("document.documentElement.scrollWidth") <= WIDTH
    if folder := os.environ.get("PICTURES"):
        person.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def the_booking() -> Booking:
    booking: Booking = Booking.get()
    return booking


def test_suggested_taken_moved_again_and_cancelled_by_both_mailboxes(
    story: Story, arrive: Arrive
) -> None:
    story.ask(starts_at=TUESDAY_10 + DAY)
    dee, asha = (Unhurried(arrive(WIDTH, scripts=False), story) for _ in range(2))

    asha.read("booking_requested").follow("Suggest another time")
    choose(asha, "2026-11-05", "10:00", "12:00")
    kept(asha, "1-suggest")
    # Another week, with what was chosen kept.
    day_of(asha, "2026-11-17")
    asha.sees("Chosen on other days")
    asha.press("Suggest these times").sees("can choose now")
    kept(asha, "2-suggested")

    dee.read("time_proposed")
    kept(dee, "3-email")
    dee.follow("Thu 5 Nov 2026, 07:00").sees("Nothing has happened yet")
    kept(dee, "4-take")
    assert the_booking().status is Status.REQUESTED
    dee.press("Take this time").sees("Done.")
    assert dee.heading == "Your session with Asha is confirmed."
    kept(dee, "5-taken")
    assert the_booking().starts_at == TUESDAY_10 + 2 * DAY + timedelta(hours=2)
    asha.read("time_taken").sees("Dee took this time instead of")

    dee.read("booking_accepted").follow("Manage Booking").follow("Move to another time")
    choose(dee, "2026-11-06", "06:00", "07:00")
    kept(dee, "6-move")
    dee.press("Ask Asha to move it").sees("You asked for another time")
    kept(dee, "7-asked")

    asha.read("time_proposed").follow("Fri 6 Nov 2026, 12:00").sees("asks for another time")
    kept(asha, "8-agree")
    asha.press("Move to this time").sees("Moved. Thank you.")
    kept(asha, "9-moved")
    assert the_booking().starts_at == TUESDAY_10 + 3 * DAY + timedelta(hours=2)
    # An older link shows the new time, and does nothing.
    dee.read("booking_received").follow("Manage Booking").sees("The time has changed")
    kept(dee, "10-outdated")

    asha.open("/dashboard").type("Your email address", "asha@therapists.example")
    asha.press("Send me a sign-in link").read("sign_in").follow("Sign In").press("Sign in")
    asha.follow("Upcoming Sessions").follow("View Details").follow("Ask to move")
    choose(asha, "2026-11-07", "10:00")
    kept(asha, "11-ask")
    asha.press("Ask Dee").sees("open until")
    kept(asha, "12-session")

    dee.read("time_proposed").follow("Manage Booking").sees("asks to move it")
    kept(dee, "13-manage")
    dee.follow("Cancel the session").sees("nothing is charged")
    dee.press("Cancel the session").sees("had asked to move it")
    kept(dee, "14-cancelled")
    ended = the_booking()
    assert ended.status is Status.CANCELLED_BY_THERAPIST
    assert ended.therapist.streak == 1
    asha.read("cancellation_recorded").sees("counts as your cancellation")
    kept(asha, "15-recorded")


def test_who_presses_at_once_is_asked_once_and_then_it_happens(
    story: Story, arrive: Arrive
) -> None:
    story.ask(starts_at=TUESDAY_10 + DAY)
    dee, asha = arrive(WIDTH, scripts=False), arrive(WIDTH, scripts=False)

    def means(person: Person, choice: str) -> Person:
        assert person.heading == "What would you like to do?"
        kept(person, f"17-{choice}")
        person.page.get_by_label(choice).check()
        story.wait(seconds=2)
        return person.press("Continue")

    asha.read("booking_requested").follow("Suggest another time")
    choose(asha, "2026-11-05", "10:00", "12:00").press("Suggest these times")
    assert the_booking().open_proposal is None
    means(asha, "Suggest these times to Dee").sees("can choose now")
    dee.read("time_proposed").follow("Thu 5 Nov 2026, 07:00").press("Take this time")
    means(dee, "Take this time").sees("Done.")
    dee.read("booking_accepted").follow("Manage Booking").follow("Move to another time")
    choose(dee, "2026-11-06", "06:00").press("Ask Asha to move it")
    means(dee, "Move to another time").sees("You asked for another time")
    asha.read("time_proposed").follow("Fri 6 Nov 2026, 11:00").press("Move to this time")
    means(asha, "Move to this time").sees("Moved. Thank you.")
    assert the_booking().starts_at == TUESDAY_10 + 3 * DAY + timedelta(hours=1)


def test_the_same_time_next_week_opens_the_form_filled_in(story: Story, arrive: Arrive) -> None:
    story.accept(story.ask(starts_at=TUESDAY_10 + DAY))
    dee = Unhurried(arrive(WIDTH, scripts=False), story)
    dee.read("booking_accepted").follow("Manage Booking").press("The same time next week")
    assert dee.page.get_by_label("Your name").input_value() == "Dee Stone"
    assert dee.page.get_by_label("Your email").input_value() == "dee@clients.example"
    assert dee.page.locator("input[name=starts_at]:checked").input_value() == "2026-11-11T10:00:00Z"
    kept(dee, "16-next-week")
    assert Booking.select().count() == 1

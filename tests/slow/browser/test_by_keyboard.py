"""Without a mouse: Tab reaches everything visibly, and Enter does what a click does."""

import pytest
from playwright.sync_api import Locator

from app.rules.lifecycle import Status
from app.store.models import Booking
from tests.harness.browser_site import DESKTOP, PHONE, Person
from tests.harness.soak import runs
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("width", runs([PHONE], [PHONE, DESKTOP])),
]


def status() -> Status:
    return Status(Booking.get().status)


def time_of(dee: Person, on: str) -> Locator:
    return dee.page.locator(f'fieldset[data-day="{on}"]').get_by_role("radio").first


def test_a_session_is_requested_by_keyboard(story: Story, arrive: Arrive, width: int) -> None:
    dee = arrive(width).open("/").key_link("Asha Rao")
    dee.key_field("Your time zone", "America/New_York").key("Enter").sees("Times in New York")
    dee.tab_to(time_of(dee, "2026-11-02")).key("ArrowRight", "ArrowRight")
    chosen = dee.page.locator("input[name=starts_at]:checked")
    assert chosen.get_attribute("value") == "2026-11-02T14:00:00Z"
    dee.key_field("Your name", "Dee Stone").key_field("Your email", "dee@clients.example")
    dee.key_field("Note", "I sleep badly.")
    dee.key_button("Ask Asha for this time, £60.00").read("confirm_request")
    dee.key_link("Confirm Request").key_button("Confirm Request")
    assert dee.heading == "You asked Asha for a session"
    assert Booking.get().starts_at.isoformat() == "2026-11-02T14:00:00+00:00"


def test_a_therapist_signs_in_and_accepts_by_keyboard(
    story: Story, arrive: Arrive, width: int
) -> None:
    story.ask()
    asha = sign_in(arrive(width))
    asha.key_link("Dee asks for a session").key_button("Accept")
    assert asha.heading == "Session with Dee"
    assert status() is Status.ACCEPTED


def test_the_first_tab_skips_the_menu(story: Story, arrive: Arrive, width: int) -> None:
    dee = arrive(width).open("/").key("Tab")
    assert dee.page.locator(":focus").inner_text() == "Skip to the content"
    dee.key("Enter").page.wait_for_url("**/#main")
    dee.key("Tab")
    assert dee.page.locator("main :focus").inner_text() == "Filter and sort"


def sign_in(asha: Person) -> Person:
    asha.open("/sign-in").key_field("Your email address", "asha@therapists.example")
    asha.key_button("Send me a sign-in link")
    return asha.read("sign_in").key_link("Sign In").key_button("Sign in")


def test_a_therapist_writes_declines_and_cancels_by_keyboard_alone(
    story: Story, arrive: Arrive, width: int
) -> None:
    # A desktop at 200 % zoom, without scripts.
    story.accept(story.ask())
    asha = sign_in(arrive(640, scripts=False))
    asha.key_link("Upcoming Sessions").key_link("View Details")
    asha.key_unfold("Messages with Dee").key_field("Write to Dee", "Please bring water.")
    asha.key_button("Send the message").sees("Please bring water.")
    asha.key_link("Cancel").key_button("Cancel the session")
    assert status() is Status.CANCELLED_BY_THERAPIST
    booking = story.ask()
    asha.key_unfold("Menu").key_link("Home").key_link("Dee asks for a session")
    asha.key_unfold("Decline…").key_field("A reason for Dee", "I am away.")
    asha.key_button("Decline")
    assert story.reload(booking).status is Status.DECLINED


def test_a_week_of_hours_is_set_by_keyboard_alone(story: Story, arrive: Arrive, width: int) -> None:
    asha = sign_in(arrive(640, scripts=False)).open("/dashboard/profile")
    asha.key_field("Monday, from", "9").key_field("Monday, until", "12")
    asha.key_button("Add a period on Monday")
    assert asha.page.locator(":focus").get_attribute("aria-label") == "Monday, period 2, from"
    asha.page.keyboard.type("1pm")
    asha.key_field("Monday, period 2, until", "5pm").key_button("Copy the hours")
    asha.key_button("Save availability").sees("Mon-Fri 09:00-12:00, Mon-Fri 13:00-17:00")


def test_ops_signs_in_finds_a_booking_and_accepts_it_by_keyboard(
    story: Story, arrive: Arrive, width: int
) -> None:
    booking = story.ask()
    olu = arrive(width).open("/ops").key_field("Your email address", "olu@ops.example")
    olu.key_button("Send me a sign-in link").read("ops_sign_in")
    olu.key_link("Sign In").key_button("Sign in")
    if width == PHONE:
        olu.key_unfold("Menu")
    olu.key_link("Bookings")
    olu.key_field("Client’s email address", "dee@clients.example").key_button("Search")
    olu.key_link(booking.reference).key_button("Accept for Asha")
    assert status() is Status.ACCEPTED

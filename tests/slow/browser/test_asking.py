"""Asking for a session: how many taps and letters it takes, the month, and the visitor's zone."""

import pytest
from playwright.sync_api import Locator

from app.store.models import Booking
from tests.harness.browser_site import DESKTOP, PHONE, Person
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive, confirm, day_of

pytestmark = pytest.mark.browser

NEW_YORK = "America/New_York"
# What a desktop at 200 % zoom has left.
ZOOMED = DESKTOP // 2
NAME, EMAIL, CITY = "Dee Stone", "dee@clients.example", "New York"


class Counting:
    """A person whose taps and typed letters are counted."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.taps = self.letters = 0

    def tap(self, target: Locator) -> None:
        self.taps += 1
        target.click()

    def type(self, label: str, text: str) -> None:
        self.tap(self.person.page.get_by_label(label))
        self.letters += len(text)
        self.person.page.keyboard.type(text)

    def ask(self, start: Locator, city: str = "") -> None:
        """From Find a Therapist to the request that is sent."""
        page = self.person.page
        self.tap(start)
        page.wait_for_url("**/therapists/asha**")
        if city:
            self.type("Your time zone", city)
        self.type("Your name", NAME)
        self.type("Your email address", EMAIL)
        with page.expect_navigation():
            self.tap(self.person.button("Ask Asha for this time, £60.00"))


def first_time(dee: Person) -> Locator:
    return dee.page.locator('article:has-text("Asha Rao") .slots a').first


@pytest.mark.parametrize("width", [PHONE, ZOOMED])
def test_a_session_is_asked_for_with_four_taps_and_a_name_and_an_address(
    story: Story, arrive: Arrive, width: int
) -> None:
    dee = Counting(arrive(width, zone=NEW_YORK).open("/"))
    dee.person.sees("Times are in your time zone, New York, EST")
    dee.ask(first_time(dee.person))
    assert (dee.taps, dee.letters) == (4, len(NAME + EMAIL))
    confirm(dee.person).sees("New York, EST")
    assert Booking.get().client_timezone == NEW_YORK


@pytest.mark.parametrize("width", [PHONE, ZOOMED])
def test_without_scripts_it_takes_one_more_tap_and_the_name_of_a_city(
    story: Story, arrive: Arrive, width: int
) -> None:
    dee = Counting(arrive(width, scripts=False, zone=NEW_YORK).open("/"))
    dee.ask(first_time(dee.person), CITY)
    assert (dee.taps, dee.letters) == (5, len(CITY + NAME + EMAIL))
    confirm(dee.person).sees("New York, EST")
    assert Booking.get().client_timezone == NEW_YORK


def test_the_browsers_zone_is_asked_for_once_and_a_choice_stays(
    story: Story, arrive: Arrive
) -> None:
    dee = arrive(zone="Asia/Calcutta")
    loads = list[str]()
    dee.page.on("load", lambda page: loads.append(page.url))
    for path in ("/therapists/asha", "/", "/therapists/bran", "/therapists/asha"):
        dee.open(path)
    dee.sees("Times in Calcutta, IST.")
    # One page more than was opened.
    assert len(loads) <= 5
    assert {each["httpOnly"] for each in dee.context.cookies()} == {True}
    dee.type("Your time zone", "Paris").press("Show these times").sees("Times in Paris, CET.")
    dee.open("/therapists/bran").sees("Times in Paris, CET.")


def test_where_cookies_are_refused_a_page_is_not_loaded_without_end(
    story: Story, arrive: Arrive
) -> None:
    dee = arrive(zone=NEW_YORK)
    dee.context.add_init_script(
        "Object.defineProperty(Document.prototype, 'cookie', { get: () => '', set() {} })"
    )
    loads = list[str]()
    dee.page.on("load", lambda page: loads.append(page.url))
    dee.open("/therapists/asha").sees("These are Asha’s times, London, GMT.")
    assert len(loads) == 1


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_days_of_the_week_are_shown_without_loading_and_others_keep_what_was_typed(
    story: Story, arrive: Arrive, width: int
) -> None:
    dee = arrive(width, zone="Europe/London").open("/therapists/asha")
    dee.type("Your name", NAME).type("Note", "I sleep badly.")
    dee.page.evaluate("document.title = 'not loaded again'")
    dee.page.locator('.month-days button[value="2026-11-05"]').click()
    assert dee.page.locator(":focus").inner_text().split() == ["Thursday", "5", "November"]
    dee.page.locator('fieldset[data-day="2026-11-05"]').get_by_text("10:00", exact=True).click()
    dee.sees("Your choice: Thursday 5 November, 10:00")
    assert dee.page.title() == "not loaded again"
    day_of(dee, "2026-11-19")
    assert dee.page.title() != "not loaded again"
    assert dee.page.get_by_label("Your name").input_value() == NAME
    assert dee.page.get_by_label("Note").input_value() == "I sleep badly."
    chosen = dee.page.locator("input[name=starts_at]:checked")
    assert chosen.input_value() == "2026-11-05T10:00:00Z"


def test_the_month_is_one_stop_of_the_tab_key_and_arrows_move_in_it(
    story: Story, arrive: Arrive
) -> None:
    dee = arrive(zone="Europe/London").open("/therapists/asha")
    day = '.month-days button[value="2026-11-{:02}"]'.format
    dee.tab_to(dee.page.locator(day(2))).key("ArrowRight", "ArrowDown", "ArrowLeft")
    assert dee.page.locator(":focus").get_attribute("value") == "2026-11-09"
    assert dee.page.locator(":focus").get_attribute("aria-label") == "Mon 9 Nov, 15 open times"
    dee.key("ArrowUp", "ArrowRight", "Enter")
    assert dee.page.locator(":focus").inner_text().split() == ["Tuesday", "3", "November"]
    dee.tab_to(dee.page.locator('fieldset[data-day="2026-11-03"] input').first)


def test_a_booking_and_earnings_are_printed_without_what_is_pressed(
    story: Story, arrive: Arrive
) -> None:
    story.accept(story.ask())
    dee = arrive().read("booking_accepted").follow("Manage Booking")
    dee.page.emulate_media(media="print", color_scheme="dark")
    assert dee.page.get_by_text("What has happened so far").is_visible()
    assert dee.page.locator(".btn:visible, .site-nav:visible, textarea:visible").count() == 0
    colour = "getComputedStyle(document.body).backgroundColor"
    assert dee.page.evaluate(colour) == "rgb(255, 255, 255)"

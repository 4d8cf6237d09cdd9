"""The request form in a browser without scripts on a phone: nothing typed is lost or changed."""

import re

import pytest

from app.rules.lifecycle import Kind
from app.store.models import Booking, PendingRequest
from tests.harness.browser_site import Person
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive, confirm, day_of

pytestmark = pytest.mark.browser

NOTE = "I sleep badly."
IS_IN_VIEW = """element => {
  const { top, bottom } = element.getBoundingClientRect()
  return top >= 0 && bottom <= window.innerHeight
}"""


@pytest.fixture
def dee(story: Story, arrive: Arrive) -> Person:
    return arrive(390, scripts=False).open("/therapists/asha")


def fill(dee: Person) -> Person:
    dee.type("Your name", "Dee Stone").type("Your email", "dee@clients.example")
    return dee.type("Note", NOTE)


def pick(dee: Person, on: str, at: str) -> None:
    day_of(dee, on).get_by_text(at, exact=True).click()


def press(dee: Person, price: str) -> Person:
    # Playwright puts a space before words that a style sheet adds.
    name = re.compile(f"^Ask Asha for this time ?, {price}$")
    with dee.page.expect_navigation():
        dee.page.get_by_role("button", name=name).click()
    return dee


def focus_is_in_view(dee: Person) -> bool:
    return bool(dee.page.locator(":focus").evaluate(IS_IN_VIEW))


def test_an_error_after_other_days_is_in_view_with_all_that_was_typed(dee: Person) -> None:
    fill(dee).type("Your email", "dee")
    times = day_of(dee, "2026-11-11")
    assert dee.page.locator(":focus").inner_text() == "Wednesday 11 November"
    assert focus_is_in_view(dee)
    times.get_by_text("10:00", exact=True).click()
    dee.press("Ask Asha for this time, £60.00")
    assert "Please give an email address" in dee.page.locator(":focus").inner_text()
    assert focus_is_in_view(dee)
    dee.type("Your email", "dee@clients.example")
    confirm(dee.press("Ask Asha for this time, £60.00"))
    assert dee.heading == "You asked Asha for a session"
    assert Booking.get().starts_at.isoformat() == "2026-11-11T10:00:00+00:00"


def test_the_button_names_the_price_of_the_kind_that_is_chosen(dee: Person) -> None:
    dee.button("Ask Asha for this time, £60.00").wait_for()
    dee.page.get_by_label("Free first consultation").check()
    fill(dee)
    pick(dee, "2026-11-03", "10:00")
    confirm(press(dee, "free"))
    assert Booking.get().kind is Kind.FREE_CONSULTATION


def test_a_used_up_consultation_becomes_paid_only_by_choice(story: Story, dee: Person) -> None:
    story.ask(kind=Kind.FREE_CONSULTATION)
    dee.page.get_by_label("Free first consultation").check()
    fill(dee)
    pick(dee, "2026-11-04", "12:00")
    confirm(press(dee, "free"))
    assert dee.heading == "Your free consultation with Asha is used up."
    assert Booking.select().count() == 1
    dee.page.get_by_role("radio").first.check()
    dee.press("Ask Asha for this time, £60.00")
    assert dee.heading == "You asked Asha for a session"
    assert {each.kind for each in Booking.select()} == set(Kind)


def test_going_back_chooses_no_other_time(dee: Person) -> None:
    fill(dee)
    pick(dee, "2026-11-02", "14:00")
    dee.press("Ask Asha for this time, £60.00")
    dee.page.go_back()
    assert dee.page.get_by_label("Note").input_value() == NOTE
    assert dee.page.locator("[name=starts_at]:checked").count() == 0
    dee.press("Ask Asha for this time, £60.00").sees("Please choose one of the open times.")
    assert PendingRequest.select().count() == 1

"""On a phone without scripts, what came of a form is in view and has the focus."""

from datetime import timedelta

import pytest

from app.rules.lifecycle import Status
from app.store.models import Booking, Purpose, Writing
from tests.harness.browser_site import Person
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = pytest.mark.browser

IS_IN_VIEW = """element => {
  const { top, bottom } = element.getBoundingClientRect()
  return top >= 0 && bottom <= window.innerHeight
}"""


@pytest.fixture
def asha(story: Story, arrive: Arrive) -> Person:
    return signed_in(arrive)


def signed_in(arrive: Arrive) -> Person:
    """Asha, signed in on a phone."""
    phone = arrive(390, scripts=False).open("/sign-in")
    phone.type("Your email address", "asha@therapists.example").press("Send me a sign-in link")
    phone.read("sign_in").follow("Sign In").press("Sign in")
    return phone


def reads(person: Person) -> str:
    """What has the focus and is in view as a whole: its words, or the name of the field."""
    focused = person.page.locator(":focus")
    assert focused.evaluate(IS_IN_VIEW), f"out of view: {focused}"
    return focused.get_attribute("name") or focused.inner_text()


def reload(person: Person) -> None:
    """Open the address that the browser shows, as reopening a tab does."""
    person.page.goto(person.page.url.partition("#")[0])
    assert "cannot be used that way" not in person.page.inner_text("main")


def session_page(story: Story, asha: Person) -> Person:
    return asha.open(f"/dashboard/sessions/{story.ask(note='I sleep badly.').reference}")


@pytest.mark.parametrize(
    ("field", "folded", "button", "said"),
    [
        ("message", "Messages with Dee", "Send the message", "Sent."),
        ("private_note", "Your own notes", "Save the note", "Saved. Only you can read it."),
    ],
)
def test_a_text_is_confirmed_or_refused_where_it_was_typed(
    story: Story, asha: Person, field: str, folded: str, button: str, said: str
) -> None:
    session_page(story, asha).unfold(folded).press(button)
    assert reads(asha) == field
    assert asha.page.locator(f"#{field}-error").evaluate(IS_IN_VIEW)
    reload(asha)
    asha.unfold(folded).page.locator(f"#{field}").fill("Until Tuesday.")
    assert said in reads(asha.press(button))
    reload(asha)
    assert Writing.select().where(Writing.purpose != Purpose.NOTE).count() == 1


def test_a_button_keeps_what_was_typed_beside_the_others(story: Story, asha: Person) -> None:
    page = session_page(story, asha).unfold("Decline…").page
    asha.unfold("Messages with Dee").unfold("Your own notes")
    for field in ("reason", "message", "private_note"):
        page.locator(f"#{field}").fill(f"My {field}.")
    assert "Saved." in reads(asha.press("Save the note"))
    assert page.locator("#message").input_value() == "My message."
    assert "Accepted" in reads(asha.press("Accept"))
    assert page.locator("#message").input_value() == "My message."
    asha.sees("My reason.")


def test_enter_in_a_setting_saves_it_and_a_button_keeps_the_others(asha: Person) -> None:
    page = asha.open("/dashboard/profile").page
    page.locator("#headline").fill("Calm.")
    with page.expect_navigation():
        page.locator("#headline").press("Enter")
    assert "Saved." in reads(asha)
    page.locator("#about-text").fill("One.\nTwo.")
    asha.type("Rate for one session", "65").press("Save what you offer")
    assert "Saved." in reads(asha)
    assert page.locator("#headline").input_value() == "Calm."
    assert page.locator("#about-text").input_value() == "One.\nTwo."


def test_an_answer_on_the_dashboard_is_confirmed_in_view(story: Story, asha: Person) -> None:
    session_page(story, asha).press("Accept")
    assert "Accepted" in reads(asha)
    reload(asha)


def test_a_setting_is_confirmed_or_refused_in_its_section(story: Story, asha: Person) -> None:
    asha.open("/dashboard/profile").type("Rate for one session", "a lot")
    assert "Rate for one session" in reads(asha.press("Save what you offer"))
    reload(asha)
    asha.type("Rate for one session", "65").press("Save what you offer")
    assert "Saved." in reads(asha)
    assert "Make profile visible" not in asha.page.inner_text("main")
    assert "invisible now" in reads(asha.press("Make profile invisible"))


def by_link(story: Story, arrive: Arrive) -> Person:
    story.accept(story.ask())
    return arrive(390, scripts=False).read("booking_accepted").follow("Manage Booking")


def test_a_client_reads_what_came_of_a_message(story: Story, arrive: Arrive) -> None:
    dee = by_link(story, arrive).press("Send the message")
    assert reads(dee) == "message"
    assert dee.page.locator("#message-error").evaluate(IS_IN_VIEW)
    reload(dee)
    assert "Sent." in reads(dee.type("Write to Asha", "Thank you.").press("Send the message"))


def test_a_client_reads_what_came_of_cancelling(story: Story, arrive: Arrive) -> None:
    dee = by_link(story, arrive).follow("Cancel the session").press("Cancel the session")
    assert "Done." in reads(dee)
    reload(dee)
    assert Booking.get().status is Status.CANCELLED_BY_CLIENT


ROWS = {
    "/dashboard": ".line",
    "/dashboard?tab=upcoming": "article",
    "/dashboard/week": ".week-entry",
    "/dashboard/sessions?show=past": "a.line",
    "/dashboard/earnings": "table.earned >> nth=0 >> tbody tr",
}


@pytest.mark.parametrize("page", ROWS)
def test_a_row_is_a_link_wherever_it_is_touched(story: Story, arrive: Arrive, page: str) -> None:
    over = story.ask(starts_at=story.now + timedelta(days=1))
    ahead = story.ask(starts_at=story.now + timedelta(days=1, hours=2))
    for booking in (over, ahead):
        story.accept(booking)
    story.at(over.completes_at)
    story.sweep()
    shown = ahead if page == "/dashboard?tab=upcoming" else over
    row = signed_in(arrive).open(page).page.locator(ROWS[page]).first
    size = row.bounding_box()
    assert size is not None
    with row.page.expect_navigation():
        row.click(position={"x": size["width"] - 8, "y": 8})
    assert row.page.url.endswith(shown.reference)


def test_an_enquirys_row_is_a_link_wherever_it_is_touched(story: Story, asha: Person) -> None:
    booking = story.ask()
    row = asha.open("/dashboard").page.locator("article").first
    size = row.bounding_box()
    assert size is not None
    with asha.page.expect_navigation():
        row.click(position={"x": size["width"] - 8, "y": 8})
    assert asha.page.url.endswith(booking.reference)


def test_the_dashboards_header_takes_little_of_a_phone(story: Story, asha: Person) -> None:
    booking = story.ask()
    for path in ("", "/week", "/sessions", "/profile", f"/sessions/{booking.reference}"):
        main = asha.open(f"/dashboard{path}").page.locator("main")
        assert main.evaluate("main => main.getBoundingClientRect().top") <= 120, path

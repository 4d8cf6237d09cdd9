"""A booking from request to end in a real browser, by mouse, with scripts off and on."""

import re

import pytest

from app.rules.lifecycle import Status
from app.store.models import Booking
from tests.harness.browser_site import DESKTOP, PHONE, Person
from tests.harness.soak import runs
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive, confirm, day_of

pytestmark = pytest.mark.browser

BROWSERS = [
    pytest.param(PHONE, False, id="phone-without-scripts"),
    pytest.param(DESKTOP, True, id="desktop-with-scripts"),
]
ALL_BROWSERS = [
    *BROWSERS,
    pytest.param(PHONE, True, id="phone-with-scripts"),
    pytest.param(DESKTOP, False, id="desktop-without-scripts"),
]
NOTE = "I sleep badly."


def ask(dee: Person) -> None:
    """Find Asha and request Wednesday at ten, as a client does."""
    dee.open("/").follow("Asha Rao")
    day_of(dee, "2026-11-04").get_by_text("10:00").click()
    dee.type("Your name", "Dee Stone").type("Your email", "dee@clients.example")
    dee.type("Your time zone", "America/New_York").type("Note", NOTE)
    confirm(dee.press("Ask Asha for this time, £60.00"))
    assert dee.heading == "You asked Asha for a session"
    dee.sees("Wed 4 Nov 2026, 05:00–05:50 (New York, EST)")


def sign_in(asha: Person) -> None:
    asha.type("Your email address", "asha@therapists.example").press("Send me a sign-in link")
    asha.read("sign_in").follow("Sign In").press("Sign in")


def the_booking() -> Booking:
    booking: Booking = Booking.get()
    return booking


@pytest.mark.parametrize(("width", "scripts"), runs(BROWSERS, ALL_BROWSERS))
def test_requested_accepted_from_the_email_and_cancelled_with_the_cost_shown_first(
    story: Story, arrive: Arrive, width: int, scripts: bool
) -> None:
    dee, asha = arrive(width, scripts=scripts), arrive(width, scripts=scripts)
    ask(dee)
    asha.read("booking_requested").follow("Accept")
    assert asha.heading == "Accept the session with Dee?"
    assert the_booking().status is Status.REQUESTED
    asha.press("Accept").sees("Accepted. Thank you.")
    dee.read("booking_accepted").follow("Manage Booking")
    assert dee.heading == "Your session with Asha is confirmed."
    dee.follow("Cancel the session").sees("nothing is charged")
    assert the_booking().status is Status.ACCEPTED
    dee.press("Cancel the session").sees("Done.")
    assert dee.heading == "You cancelled this session."
    assert the_booking().status is Status.CANCELLED_BY_CLIENT


@pytest.mark.parametrize(("width", "scripts"), BROWSERS)
def test_a_late_cancellation_names_its_price_on_the_button(
    story: Story, arrive: Arrive, width: int, scripts: bool
) -> None:
    story.accept(story.ask())
    story.wait(hours=30)
    dee = arrive(width, scripts=scripts)
    dee.read("booking_accepted").follow("Manage Booking").follow("Cancel the session")
    dee.sees("cancelling now costs £60.00").press("Cancel and pay £60.00")
    dee.sees("£60.00 is due.")
    assert story.balances(the_booking()) == {
        "client": -6000, "held": 0, "therapist": 5400, "commission": 600,
    }  # fmt: skip


@pytest.mark.parametrize(("width", "scripts"), BROWSERS)
def test_declined_from_the_email_with_a_reason_and_another_therapist_is_requested(
    story: Story, arrive: Arrive, width: int, scripts: bool
) -> None:
    dee, asha = arrive(width, scripts=scripts), arrive(width, scripts=scripts)
    story.ask()
    asha.read("booking_requested").follow("Decline")
    asha.page.get_by_label("A reason for Dee").fill("I am away that day.")
    asha.press("Decline").sees("Declined.")
    dee.read("booking_declined").follow("Manage Booking").sees("I am away that day.")
    assert dee.heading == "Asha cannot take this session."
    dee.follow("Choose Someone Else").press("Ask this therapist")
    assert dee.heading.startswith("You asked ")
    statuses = [booking.status for booking in Booking.select().order_by(Booking.id)]
    assert statuses == [Status.DECLINED, Status.REQUESTED]


@pytest.mark.parametrize(("width", "scripts"), BROWSERS)
def test_signed_in_by_email_and_accepted_on_the_dashboard_then_cancelled_there(
    story: Story, arrive: Arrive, width: int, scripts: bool
) -> None:
    story.ask(note=NOTE)
    asha = arrive(width, scripts=scripts)
    asha.open("/dashboard")
    sign_in(asha)
    asha.sees("One enquiry is waiting").follow("Dee asks for a session")
    asha.sees(NOTE).press("Accept").sees("Session with Dee")
    assert the_booking().status is Status.ACCEPTED
    if width == PHONE:
        asha.unfold("Menu")
    asha.follow("Home").follow("Upcoming Sessions").follow("Cancel")
    asha.sees("first cancelled session in a row").press("Cancel the session")
    asha.sees("You cancelled this session")
    assert the_booking().status is Status.CANCELLED_BY_THERAPIST


@pytest.mark.parametrize(("width", "scripts"), BROWSERS)
def test_a_message_is_written_on_one_page_and_answered_on_another(
    story: Story, arrive: Arrive, width: int, scripts: bool
) -> None:
    story.accept(story.ask())
    dee, asha = arrive(width, scripts=scripts), arrive(width, scripts=scripts)
    asha.read("session_confirmed").follow("View Session")
    sign_in(asha)
    assert asha.heading == "Session with Dee"
    asha.unfold("Messages with Dee").type("Write to Dee", "Please bring your diary.").press(
        "Send the message"
    )
    dee.read("new_message")
    assert "diary" not in dee.page.content()
    dee.follow("Manage Booking").press("Show one message")
    dee.sees("Please bring your diary.").type("Write to Asha", "I will.").press("Send the message")
    asha.page.reload()
    asha.sees("I will.")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_what_was_typed_survives_a_mistake_in_the_form(
    story: Story, arrive: Arrive, width: int
) -> None:
    dee = arrive(width, scripts=False)
    dee.open("/therapists/asha").type("Your name", "Dee Stone").type("Note", NOTE)
    dee.press("Ask Asha for this time, £60.00")
    assert dee.page.get_by_label("Your name").input_value() == "Dee Stone"
    assert dee.page.get_by_label("Note").input_value() == NOTE
    dee.page.locator(".error-summary a").first.click()
    dee.page.wait_for_url(re.compile("#(starts_at|email)$"))
    assert Booking.select().count() == 0

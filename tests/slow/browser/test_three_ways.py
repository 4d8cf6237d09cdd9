"""The main job without scripts, by keyboard alone, and at 200 % zoom."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator

from app.rules.lifecycle import Status
from app.store.models import Booking
from tests.harness.browser_site import DESKTOP, OVERFLOW, Person
from tests.harness.soak import runs
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = pytest.mark.browser

# What a desktop at 200 % zoom has left.
ZOOMED = DESKTOP // 2
WAYS = [
    pytest.param(DESKTOP, True, False, id="by-keyboard"),
    pytest.param(ZOOMED, True, True, id="zoomed"),
    pytest.param(ZOOMED, False, True, id="zoomed-without-scripts"),
]


@dataclass
class Way:
    """A person who clicks, or uses the keyboard alone; every page fits the window."""

    person: Person
    has_mouse: bool

    def follow(self, name: str) -> "Way":
        return self._seen(self.person.follow if self.has_mouse else self.person.key_link, name)

    def press(self, name: str) -> "Way":
        return self._seen(self.person.press if self.has_mouse else self.person.key_button, name)

    def unfold(self, name: str) -> "Way":
        return self._seen(self.person.unfold if self.has_mouse else self.person.key_unfold, name)

    def type(self, label: str, text: str) -> "Way":
        (self.person.type if self.has_mouse else self.person.key_field)(label, text)
        return self

    def choose(self, target: Locator) -> "Way":
        if self.has_mouse:
            target.locator("xpath=..").click()
        else:
            self.person.tab_to(target).key("Space")
        assert target.is_checked()
        return self

    def read(self, kind: str) -> "Way":
        return self._seen(self.person.read, kind)

    def _seen(self, act: object, name: str) -> "Way":
        act(name)  # type: ignore[operator]
        assert self.person.page.evaluate(OVERFLOW) == 0, self.person.page.url
        return self


@pytest.mark.parametrize(
    ("width", "scripts", "has_mouse"),
    runs(WAYS, [*WAYS, pytest.param(ZOOMED, False, False, id="zoomed-by-keyboard")]),
)
def test_asked_confirmed_accepted_written_about_and_cancelled(
    story: Story, arrive: Arrive, width: int, scripts: bool, has_mouse: bool
) -> None:
    dee, asha = (Way(arrive(width, scripts=scripts), has_mouse) for _ in range(2))
    dee.person.open("/")
    dee.follow("Asha Rao")
    dee.choose(dee.person.page.locator('fieldset[data-day="2026-11-02"] input').first)
    dee.type("Your name", "Dee Stone").type("Your email", "dee@clients.example")
    dee.press("Ask Asha for this time, £60.00")
    dee.read("confirm_request").follow("Confirm Request").press("Confirm Request")
    assert dee.person.heading == "You asked Asha for a session"
    asha.read("booking_requested").follow("Accept").press("Accept")
    assert asha.person.heading == "Accepted. Thank you."
    dee.read("booking_accepted").follow("Manage Booking")
    dee.type("Write to Asha", "Shall I bring anything?").press("Send the message")
    asha.read("new_message").follow("View Session")
    asha.type("Your email address", "asha@therapists.example").press("Send me a sign-in link")
    asha.read("sign_in").follow("Sign In").press("Sign in")
    asha.person.sees("Shall I bring anything?")
    asha.type("Write to Dee", "Only yourself.").press("Send the message")
    dee.read("new_message").follow("Manage Booking").press("Show 2 messages")
    dee.person.sees("Only yourself.")
    dee.follow("Cancel the session").press("Cancel and pay £60.00")
    assert Booking.get().status is Status.CANCELLED_BY_CLIENT

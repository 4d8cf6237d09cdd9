"""Scripts that keep a page current: the time left, Join, the height of an email."""

from datetime import timedelta
from html import escape
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import app
from app.rules.lifecycle import Actor, Kind
from app.services.bookings import messages
from app.web.scripts import FOLDER
from emails.samples import SAMPLES
from tests.harness.browser_site import PHONE, Person, window
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = pytest.mark.browser


def signed_in(arrive: Arrive, *, scripts: bool = True) -> Person:
    asha = arrive(PHONE, scripts=scripts).open("/sign-in")
    asha.type("Your email address", "asha@therapists.example").press("Send me a sign-in link")
    return asha.read("sign_in").follow("Sign In").press("Sign in")


def test_the_time_left_to_answer_runs_on_without_a_reload(story: Story, arrive: Arrive) -> None:
    story.ask()
    asha = signed_in(arrive)
    # The device's clock is two hours ahead of the server's.
    asha.page.clock.install(time=story.now + timedelta(hours=2))
    asha.open("/dashboard").sees("3 hours left")
    bar = asha.page.locator("progress")
    assert bar.evaluate("bar => bar.value") == 3 * 3600
    asha.page.clock.run_for(65 * 60_000)
    asha.sees("1 hour 55 minutes left")
    assert bar.evaluate("bar => bar.value") == pytest.approx(115 * 60, abs=20)


def test_without_scripts_the_time_left_is_that_of_the_page(story: Story, arrive: Arrive) -> None:
    story.ask()
    asha = signed_in(arrive, scripts=False)
    story.wait(minutes=65)
    asha.open("/dashboard").sees("1 hour 55 minutes left")


def test_join_appears_when_it_is_time_and_goes_at_the_end(story: Story, arrive: Arrive) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.starts_at - timedelta(minutes=15))
    asha = signed_in(arrive)
    asha.page.clock.install(time=story.now)
    join = asha.open("/dashboard").page.get_by_role("link", name="Join Dee")
    assert not join.is_visible()
    asha.page.clock.run_for(6 * 60_000)
    assert join.is_visible()
    asha.page.clock.run_for(60 * 60_000)
    assert not join.is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_an_unread_message_is_on_home_until_it_is_opened(
    story: Story, arrive: Arrive, scripts: bool
) -> None:
    booking = story.ask(kind=Kind.FREE_CONSULTATION)
    messages.send(booking, "Shall I bring anything?", author=Actor.CLIENT, now=story.now)
    asha = signed_in(arrive, scripts=scripts).open("/dashboard").follow("Dee wrote to you")
    assert asha.page.get_by_text("Shall I bring anything?").is_visible()
    asha.open("/dashboard")
    assert not asha.page.get_by_text("Dee wrote to you").count()


FITS = "frame => frame.contentDocument.documentElement.scrollHeight <= frame.clientHeight"


@pytest.mark.parametrize(("scripts", "width"), [(True, PHONE), (True, 1280), (False, PHONE)])
def test_the_longest_email_fits_its_frame_in_the_mailbox(
    browser: Browser, scripts: bool, width: int
) -> None:
    css = (Path(app.__file__).parent / "static" / "mailbox.css").read_text()
    script = (FOLDER / "frames.js").read_text()
    context = window(browser, width)
    page = context.new_page()
    for name in ("time_proposed.client", "booking_requested", "sign_in"):
        email = escape(SAMPLES[name]().html)
        page.set_content(
            f'<style>{css}</style><iframe class="mail-frame" srcdoc="{email}"></iframe>'
            + (f"<script>{script}</script>" if scripts else "")
        )
        frame = page.locator("iframe")
        assert frame.evaluate(FITS), name
        inner = frame.evaluate("frame => frame.contentDocument.documentElement.offsetHeight")
        if scripts:
            assert frame.evaluate("frame => frame.clientHeight") <= inner + 40, name
    context.close()

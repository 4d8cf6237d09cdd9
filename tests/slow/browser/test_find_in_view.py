"""Find a Therapist: on a phone somebody to ask is in view at once, on a desk the filters are."""

import pytest
from playwright.sync_api import Locator

from app.services.therapists import photos, profile
from app.store.models import Therapist
from tests.harness.browser_site import FOCUS_IS_SEEN
from tests.harness.portraits import portrait
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 390, 844


@pytest.fixture
def shown(story: Story) -> None:
    """Asha is first, and everything that a card can show is known of her."""
    photos.replace("asha", portrait(), story.now)
    fields = {
        "headline": "A steady place to put anxious thoughts down",
        "specialisms": "Anxiety, Sleep, Work stress",
        "languages": "English, Hindi",
        "qualifications": "MSc Psychology, MBACP (Accred)",
    }
    profile.update("asha", fields, story.now)
    Therapist.update(score=50).where(Therapist.slug != "asha").execute()
    answers = {"median_answer_s": 2300, "answers_counted": 9}
    Therapist.update(answers).where(Therapist.slug == "asha").execute()


def bottom(found: Locator) -> float:
    box = found.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


@pytest.mark.parametrize("scripts", [False, True])
def test_on_a_phone_the_first_therapist_and_their_next_times_are_in_view(
    shown: None, arrive: Arrive, scripts: bool
) -> None:
    page = arrive(WIDTH, scripts=scripts).open("/").page
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    first = page.locator("article").first
    assert first.get_by_role("link", name="Asha Rao", exact=True).is_visible()
    assert bottom(first.locator(".slots a").first) <= HEIGHT
    assert not page.get_by_label("Specialism", exact=True).is_visible()
    page.goto(page.url + "?free=on&price=90&sort=soonest")
    assert page.get_by_role("link", name="Remove: Up to £90.00").is_visible()
    assert bottom(page.locator("article h2").first) <= HEIGHT


def test_by_keyboard_the_filters_are_unfolded_and_used(shown: None, arrive: Arrive) -> None:
    page = arrive(WIDTH, scripts=False).open("/").page
    summary = page.locator("summary")
    summary.focus()
    assert summary.evaluate(FOCUS_IS_SEEN)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("sleep")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?*specialism=sleep*")
    assert page.locator("article").count() == 1
    page.get_by_role("link", name="Remove: Specialism: sleep").press("Enter")
    page.wait_for_url(lambda url: "specialism=sleep" not in url)
    assert page.locator("article").count() == 3


def test_where_there_is_room_the_filters_are_open_without_a_click(
    shown: None, arrive: Arrive
) -> None:
    page = arrive(scripts=False).open("/").page
    assert page.get_by_label("Specialism", exact=True).is_visible()
    assert not page.locator("summary").is_visible()
    page.get_by_label("Language").fill("hindi")
    page.get_by_role("button", name="Show therapists").click()
    assert page.locator("article").count() == 1
    assert page.locator("article img").evaluate("image => image.naturalWidth") == 104

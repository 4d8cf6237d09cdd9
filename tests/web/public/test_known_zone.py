"""A visitor's time zone is known before they type, remembered, and never the therapist's."""

import re
from typing import Any

import pytest

from app.store.models import Booking, PendingRequest
from tests.harness.page_stories import forms
from tests.harness.pages import ASHA, filled, text
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor

FROM_SCRIPT, KEPT = "mindsum-browser-zone", "mindsum-zone"
TOKYO, PARIS = "Asia/Tokyo", "Europe/Paris"


def field(page: Any) -> str:
    """The time zone that the request form holds."""
    return forms(page)[0].fields["timezone"]


def asks_browser(page: Any) -> bool:
    """Whether a script of the page would tell the browser's zone."""
    return 'name="time-zone"' in page.text and "<script>" in page.text


def kept(visitor: Visitor) -> str:
    cookie = visitor.get_cookie(KEPT)
    return cookie.value if cookie else ""


def test_until_a_zone_is_known_the_page_says_whose_times_it_shows(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(ASHA)
    assert field(page) == ""
    assert "These are Asha’s times, London, GMT." in text(page)
    assert "Times in" not in text(page)
    assert asks_browser(page)


def test_what_the_browser_tells_is_taken_over_at_once(cast: Cast, visitor: Visitor) -> None:
    visitor.set_cookie(FROM_SCRIPT, TOKYO)
    page = visitor.get(ASHA)
    assert field(page) == TOKYO
    assert "Times in Tokyo, JST." in text(page)
    assert "London" not in text(page).partition("Ask Asha")[2].replace("such as London", "")
    # From now on no script can read it, and the script has nothing to do.
    cookies = [each for each in page.headers.getlist("Set-Cookie") if KEPT in each]
    assert len(cookies) == 1
    assert "HttpOnly" in cookies[0]
    assert "SameSite=Lax" in cookies[0]
    assert visitor.get_cookie(FROM_SCRIPT) is None
    again = visitor.get(ASHA)
    assert field(again) == TOKYO
    assert f'data-known="{TOKYO}"' in again.text
    assert "your time zone, Tokyo, JST" in text(visitor.get("/"))


def test_old_names_that_browsers_send_are_kept_as_they_are(cast: Cast, visitor: Visitor) -> None:
    for name in ("Asia/Calcutta", "Europe/Kiev", "GMT", "Etc/GMT+5"):
        visitor.set_cookie(FROM_SCRIPT, name)
        page = visitor.get(ASHA)
        assert field(page) == name
        # A script that found another name than it told would load the page for ever.
        assert f'data-known="{name}"' in visitor.get(ASHA).text
        sent = {**filled(visitor, timezone=name), "email": f"{len(name)}@clients.example"}
        assert visitor.post(ASHA, data={**sent, "show": ""}).status_code == 200
        assert "timezone-error" not in visitor.post(ASHA, data={**sent, "show": ""}).text


@pytest.mark.parametrize("value", ["Mars/Olympus", "", "Europe/London; x", "x" * 3000, "<b>"])
def test_a_zone_that_is_none_stays_unknown_and_is_not_asked_for_without_end(
    cast: Cast, visitor: Visitor, value: str
) -> None:
    visitor.set_cookie(FROM_SCRIPT, value)
    page = visitor.get(ASHA)
    assert field(page) == ""
    # The script loads no page again while its cookie is still there.
    assert not any(FROM_SCRIPT in each for each in page.headers.getlist("Set-Cookie"))


def test_what_a_visitor_chose_counts_before_what_the_browser_tells(
    cast: Cast, visitor: Visitor
) -> None:
    sent = {**forms(visitor.get(ASHA))[0].fields, "timezone": "Paris", "show": ""}
    page = visitor.post(ASHA, data=sent)
    assert "Times in Paris, CET." in text(page)
    assert kept(visitor) == f"chosen:{PARIS}"
    # The answer to a form is not loaded again.
    assert not asks_browser(page)
    visitor.set_cookie(FROM_SCRIPT, TOKYO)
    page = visitor.get(ASHA)
    assert field(page) == PARIS
    assert not asks_browser(page)
    assert kept(visitor) == f"chosen:{PARIS}"


def test_a_browser_that_moved_is_told_apart_from_a_choice(cast: Cast, visitor: Visitor) -> None:
    for zone in (TOKYO, PARIS):
        visitor.set_cookie(FROM_SCRIPT, zone)
        assert field(visitor.get(ASHA)) == zone
        # A form that sends the known zone back chooses nothing.
        visitor.post(ASHA, data={**forms(visitor.get(ASHA))[0].fields, "show": ""})
        assert kept(visitor) == f"told:{zone}"


def test_the_zone_of_a_shared_address_is_shown_and_not_remembered(
    cast: Cast, visitor: Visitor
) -> None:
    for path in (f"{ASHA}?tz={TOKYO}", f"/?tz={TOKYO}"):
        page = visitor.get(path)
        assert "Tokyo, JST" in text(page)
        assert not asks_browser(page)
        assert kept(visitor) == ""
    assert field(visitor.get(ASHA)) == ""


def test_the_next_therapist_is_shown_in_the_zone_that_was_chosen(
    cast: Cast, visitor: Visitor
) -> None:
    visitor.post(ASHA, data={**forms(visitor.get(ASHA))[0].fields, "timezone": TOKYO, "show": ""})
    assert field(visitor.get("/therapists/bran")) == TOKYO
    page = visitor.get("/")
    assert "Tokyo, JST" in text(page)
    # The links need not carry it.
    assert "tz=" not in page.text


@pytest.mark.parametrize("button", ["show", None])
def test_words_that_fit_several_zones_are_asked_about_with_a_button_for_each(
    cast: Cast, visitor: Visitor, button: str | None
) -> None:
    typed = {**filled(visitor), "timezone": "IST", **({button: ""} if button else {})}
    page = visitor.post(ASHA, data=typed)
    assert page.status_code == (200 if button else 422)
    assert "Several time zones have that name" in text(page)
    offered = re.findall(r'name="place" value="([^"]+)"', page.text)
    assert offered == ["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]
    answer = visitor.post(ASHA, data={**forms(page)[0].fields, "place": "Asia/Kolkata"})
    assert answer.status_code == 200
    assert field(answer) == "Asia/Kolkata"
    left = forms(answer)[0].fields
    for name in ("name", "email", "note", "starts_at"):
        assert left[name] == typed[name]
    assert not Booking.select().exists()


def test_one_press_says_that_the_therapists_zone_is_ones_own(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(ASHA)
    assert 'name="place" value="Europe/London"' in page.text
    answer = visitor.post(ASHA, data={**forms(page)[0].fields, "place": "Europe/London"})
    assert field(answer) == "Europe/London"
    assert "These are Asha’s times" not in text(answer)
    assert kept(visitor) == "chosen:Europe/London"


def test_a_request_without_a_zone_has_the_one_that_the_page_named(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(ASHA)
    assert "If you leave it empty, times here and in our emails are Asha’s." in text(page)
    assert visitor.post(ASHA, data=filled(visitor, timezone="")).status_code == 303
    assert "Tue 3 Nov 2026, 10:00–10:50 (London, GMT)" in text(visitor.get(f"{ASHA}/requested"))
    # It is not the visitor's, so it is not remembered.
    assert kept(visitor) == ""


def test_a_city_is_enough_for_a_request(cast: Cast, visitor: Visitor) -> None:
    assert visitor.post(ASHA, data=filled(visitor, timezone="new york")).status_code == 303
    stored = Booking.get().client_timezone if Booking.select().exists() else None
    stored = stored or PendingRequest.get().typed["timezone"]
    assert stored == "America/New_York"


def test_find_a_therapist_takes_a_city(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get("/?tz=Bombay")
    assert "your time zone, Kolkata, IST" in text(page)
    assert "tz=Asia/Kolkata" in page.text
    assert "Please choose one" in text(visitor.get("/?tz=IST"))
    assert asks_browser(visitor.get("/"))

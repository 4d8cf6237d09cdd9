"""Looking at other days, kinds and time zones on the request form: nothing typed is lost."""

import re
from datetime import timedelta
from typing import Any

import pytest

from app.rules.lifecycle import Kind
from app.services.therapists import accounts
from app.store.models import Booking, TimeOff
from tests.harness.page_stories import all_rows, forms
from tests.harness.pages import ASHA, ask, filled, text
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import Visitor

NOTE = "I sleep badly."
TYPED = {"name": "Dee Stone", "given_name": "Dee", "email": "dee@clients.example", "note": NOTE}
CHOSEN = "2026-11-03T10:00:00Z"


def buttons(response: Any) -> dict[str, str]:
    """What the form's buttons for other times send, by their words."""
    found = re.findall(r'name="show" value="([^"]*)"(?: formnovalidate)?>([^<]+)<', response.text)
    return {words: value for value, words in found}


def look(visitor: Visitor, page: Any, words: str, **typed: str) -> Any:
    """Press one of those buttons, with the form as it stands and what is typed now."""
    return visitor.post(ASHA, data={**forms(page)[0].fields, **typed, "show": buttons(page)[words]})


@pytest.mark.parametrize("words", ["Later days", "Show these times"])
def test_all_that_was_typed_and_chosen_is_kept_and_nothing_is_requested(
    cast: Cast, visitor: Visitor, words: str
) -> None:
    typed = {**TYPED, "starts_at": CHOSEN, "kind": "free_consultation"}
    typed["timezone"] = "America/New_York"
    before = all_rows()
    page = look(visitor, visitor.get(ASHA), words, **typed)
    assert page.status_code == 200
    kept = forms(page)[0].fields
    assert {name: kept[name] for name in typed} == typed
    assert "Times in New York" in text(page)
    assert all_rows() == before
    assert NOTE not in str(page.headers)


def test_every_field_is_asked_for_once(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(ASHA)
    for name in ("name", "given_name", "email", "timezone", "note"):
        assert len(re.findall(rf'<(?:input|textarea)[^>]* name="{name}"', page.text)) == 1, name


def test_what_was_kept_over_other_days_can_be_sent(cast: Cast, visitor: Visitor) -> None:
    page = look(visitor, visitor.get(ASHA), "Later days", **TYPED, starts_at=CHOSEN)
    assert "Your choice so far" in text(page)
    answer = visitor.post(ASHA, data={**forms(page)[0].fields, "name": ""})
    assert answer.status_code == 422
    assert answer.text.count(" checked>10:00") + answer.text.count(" checked>Tue 3 Nov") == 1
    sent = {**forms(answer)[0].fields, "name": "Dee Stone"}
    assert visitor.post(ASHA, data=sent).status_code == 303
    assert Booking.get().starts_at == MONDAY + timedelta(days=1, hours=1)


def test_an_error_keeps_the_days_that_were_shown(cast: Cast, visitor: Visitor) -> None:
    page = look(visitor, visitor.get(ASHA), "Later days", **TYPED)
    answer = visitor.post(ASHA, data=forms(page)[0].fields)
    assert answer.status_code == 422
    assert re.findall("data-day=[^>]+", answer.text) == re.findall("data-day=[^>]+", page.text)


def test_there_and_back_again_keeps_everything(cast: Cast, visitor: Visitor) -> None:
    first = visitor.get(ASHA)
    later = look(visitor, first, "Later days", **TYPED, starts_at=CHOSEN)
    back = look(visitor, later, "Earlier days")
    assert "Earlier days" not in buttons(back)
    assert re.findall("data-day=[^>]+", back.text) == re.findall("data-day=[^>]+", first.text)
    kept = forms(back)[0].fields
    assert (kept["note"], kept["starts_at"]) == (NOTE, CHOSEN)


def test_no_button_leads_to_days_without_times(cast: Cast, visitor: Visitor) -> None:
    # Asha's first open day is in ten days, her last in twelve.
    for start, end in ((MONDAY, 10), (MONDAY + timedelta(days=12), 70)):
        TimeOff.create(therapist=cast.asha, starts_at=start, ends_at=MONDAY + timedelta(days=end))
    days = {"Fri 13 Nov ›"}
    assert set(buttons(visitor.get(ASHA))) == {"Show these times"} | days
    empty = visitor.get(f"{ASHA}?from=2026-12-20")
    assert "No open times from here on" in text(empty)
    assert set(buttons(empty)) == {"Show these times", "Earlier days"}


def test_the_next_open_day_is_shown_with_all_that_was_typed(cast: Cast, visitor: Visitor) -> None:
    TimeOff.create(
        therapist=cast.asha,
        starts_at=MONDAY + timedelta(days=1),
        ends_at=MONDAY + timedelta(days=15),
    )
    page = look(visitor, visitor.get(f"{ASHA}?from=2026-11-04"), "Tuesday 17 November", **TYPED)
    assert "data-day=" in page.text
    assert page.text.partition("data-day=")[2].startswith('"2026-11-17"')
    assert forms(page)[0].fields["note"] == NOTE


def test_a_chosen_time_that_is_not_open_for_that_kind_is_said_so(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(f"{ASHA}?kind=free_consultation")
    last = {"starts_at": "2026-11-03T16:30:00Z"}
    page = look(visitor, page, "Show these times", **TYPED, **last, kind="paid")
    assert "not open for 50 minutes" in text(page)
    assert "starts_at" not in forms(page)[0].fields


def test_a_card_that_led_to_a_time_gone_since_says_so(cast: Cast, visitor: Visitor) -> None:
    ask()
    assert "not open for 50 minutes" in text(visitor.get(f"{ASHA}?at={CHOSEN}"))


def test_an_unknown_time_zone_is_named_beside_its_field_and_kept(
    cast: Cast, visitor: Visitor
) -> None:
    page = look(visitor, visitor.get(ASHA), "Show these times", **TYPED, timezone="Mars/Olympus")
    assert "Please give a time zone" in text(page)
    assert 'id="timezone-error"' in page.text
    assert forms(page)[0].fields["timezone"] == "Mars/Olympus"
    assert "Asha’s times, London, GMT" in text(page)


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 303), ({"timezone": "Asia/Tokyo"}, 200), ({"kind": "free_consultation"}, 200)],
)
def test_enter_in_a_field_sends_the_form_unless_other_times_are_wanted(
    cast: Cast, visitor: Visitor, changed: dict[str, str], status: int
) -> None:
    page = visitor.get(ASHA)
    enter = re.search(r'name="enter" value="([^"]*)"', page.text)[1]
    sent = {**forms(page)[0].fields, **TYPED, "starts_at": CHOSEN, **changed, "enter": enter}
    assert visitor.post(ASHA, data=sent).status_code == status
    assert Booking.select().count() == (status == 303)


def test_a_therapist_who_paused_while_days_were_turned_hands_the_note_back(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(ASHA)
    accounts.pause("asha", on=True)
    answer = look(visitor, page, "Later days", **TYPED)
    assert (answer.status_code, NOTE in answer.text) == (200, True)


def test_looking_at_other_days_needs_no_token_and_names_no_used_up_consultation(
    cast: Cast, visitor: Visitor
) -> None:
    ask(email="dee@clients.example", kind=Kind.FREE_CONSULTATION)
    sent = filled(visitor, kind="free_consultation", csrf_token="", show="2026-11-10")
    page = visitor.post(ASHA, data=sent)
    assert page.status_code == 200
    assert " disabled" not in page.text
    assert forms(page)[0].fields["kind"] == "free_consultation"

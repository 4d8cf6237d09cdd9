"""A month with its free days, and a week of times by morning, afternoon and evening."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.rules.weekly_hours import parse_windows
from app.services.therapists import profile
from app.store.models import TimeOff
from app.web.links import tokens
from tests.harness.api_calls import Call
from tests.harness.page_stories import all_rows, forms, sign_in
from tests.harness.pages import ASHA, text
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

TYPED = {
    "name": "Dee Stone", "given_name": "Dee", "email": "dee@clients.example",
    "note": "I sleep badly.", "starts_at": "2026-11-03T10:00:00Z", "timezone": "Europe/London",
}  # fmt: skip
_DAY = re.compile(
    r'name="show" value="([\d-]+)" formnovalidate aria-label="([^"]+), (\d+) open time'
)


def free_days(page: Any) -> dict[str, int]:
    """Days of the month that is shown, with the number of open times that their buttons name."""
    return {on: int(count) for on, _, count in _DAY.findall(page.text)}


def month_of(page: Any) -> str:
    return re.search(r'id="month">([^<]+)<', page.text)[1]


def turns(page: Any) -> dict[str, str]:
    """The buttons that turn the month: what they send, by their names."""
    found = re.findall(r'value="([\d-]+)" formnovalidate aria-label="(Show [^"]+)"', page.text)
    return {name: on for on, name in found}


def press(visitor: Visitor, page: Any, **more: str) -> Any:
    return visitor.post(ASHA, data={**forms(page)[0].fields, **more})


def times_by_part(page: Any) -> dict[str, list[str]]:
    """The times of the first day that is shown, by the part of the day."""
    day = page.text.partition("<fieldset")[2].partition("</fieldset>")[0]
    parts = re.findall(r'<p class="part">(\w+)</p>(.*?)</div>', day, re.DOTALL)
    return {name: re.findall(r'">([\d:]+)<', times) for name, times in parts}


def test_the_month_marks_the_days_that_have_open_times(
    cast: Cast, visitor: Visitor, call: Call
) -> None:
    page = visitor.get(f"{ASHA}?tz=Europe/London")
    assert month_of(page) == "November 2026"
    found = free_days(page)
    for day in range(1, 31):
        on = date(2026, 11, day)
        slots = call("GET", f"therapists/asha/slots?from={on}&days=1").get_json()
        assert found.get(on.isoformat(), 0) == len(slots), on
    assert "Mon 2 Nov" in page.text
    # Today's is the first day with times.
    assert page.text.count('aria-current="date"') == 1


def test_the_month_turns_to_the_next_that_has_times_and_back(cast: Cast, visitor: Visitor) -> None:
    TimeOff.create(
        therapist=cast.asha,
        starts_at=datetime(2026, 12, 1, tzinfo=UTC),
        ends_at=datetime(2026, 12, 9, tzinfo=UTC),
    )
    first = visitor.get(f"{ASHA}?tz=Europe/London")
    assert turns(first) == {"Show December 2026": "2026-12-09"}
    later = press(visitor, first, **TYPED, show="2026-12-09")
    assert month_of(later) == "December 2026"
    assert min(free_days(later)) == "2026-12-09"
    assert turns(later)["Show November 2026"] == min(free_days(first))
    kept = forms(later)[0].fields
    assert {name: kept[name] for name in TYPED} == TYPED


def test_every_button_for_other_times_keeps_all_that_was_typed(
    cast: Cast, visitor: Visitor
) -> None:
    page = press(visitor, visitor.get(ASHA), **TYPED, show="2026-11-11")
    buttons = re.findall(r'<button[^>]* name="(show|place)" value="([^"]*)"', page.text)
    assert len(buttons) > 20
    before = all_rows()
    for name, value in {*buttons, ("place", "Asia/Tokyo"), ("place", "Mars/Olympus")}:
        answer = press(visitor, page, **{name: value})
        assert answer.status_code == 200
        kept = forms(answer)[0].fields
        typed = {**TYPED, "timezone": value} if name == "place" else TYPED
        assert {name: kept[name] for name in typed} == typed, (name, value)
    assert all_rows() == before


def test_a_day_has_its_morning_afternoon_and_evening(cast: Cast, visitor: Visitor) -> None:
    profile.set_hours("asha", parse_windows("Tue 09:00-12:00, Tue 16:00-20:00"))
    found = times_by_part(visitor.get(f"{ASHA}?tz=Europe/London&from=2026-11-03"))
    assert list(found) == ["Morning", "Afternoon", "Evening"]
    assert found["Morning"][-1] == "11:00"
    assert found["Afternoon"] == ["16:00", "16:30"]
    assert found["Evening"][0] == "17:00"
    abroad = times_by_part(visitor.get(f"{ASHA}?tz=America/New_York&from=2026-11-03"))
    assert abroad["Morning"][0] == "04:00"
    assert "Evening" not in abroad


@pytest.mark.parametrize(
    ("zone", "on", "count"),
    # Four hours in London, since the one from one to two comes twice; from eight in Tokyo.
    [("Europe/London", "2026-10-25", 7), ("Asia/Tokyo", "2026-10-25", 7)],
)
def test_a_day_on_which_clocks_change_counts_what_it_offers(
    story: Story, visitor: Visitor, zone: str, on: str, count: int
) -> None:
    profile.set_hours("asha", parse_windows("Sun 00:00-03:00"))
    story.at(datetime(2026, 10, 22, 9, tzinfo=UTC))
    page = visitor.get(f"{ASHA}?tz={zone}&from={on}")
    assert free_days(page)[on] == count
    assert len(re.findall(r'name="starts_at" value="2026-10-2', page.text)) == count


def test_an_address_that_names_a_time_shows_its_day_with_the_time_chosen(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(f"{ASHA}?at=2026-12-03T10:00:00Z&tz=Europe/London")
    assert month_of(page) == "December 2026"
    assert 'id="request"' in page.text
    assert forms(page)[0].fields["starts_at"] == "2026-12-03T10:00:00Z"
    assert re.search(r'value="2026-12-03"[^>]* aria-current="date"', page.text)
    assert "Your choice: Thu 3 Dec 2026, 10:00" in text(page)


def test_where_another_time_is_chosen_the_same_month_is_shown(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=MONDAY + timedelta(days=1, hours=1))
    with app.test_request_context():
        move = tokens.path(LinkPurpose.MANAGE, booking) + "/move"
        suggest = tokens.path(LinkPurpose.SUGGEST, booking)
    pages = [visitor.get(move), visitor.get(suggest)]
    sign_in(app, story.mail, visitor, "asha@therapists.example")
    pages.append(visitor.get(f"/dashboard/sessions/{booking.reference}/move"))
    for page in pages:
        assert month_of(page) == "November 2026"
        assert len(free_days(page)) > 10
    # Links have no script.
    assert ["<script>" in page.text for page in pages] == [False, False, True]
    turned = visitor.post(move, data={"starts": "2026-11-05T10:00:00Z", "show": "2026-12-01"})
    assert month_of(turned) == "December 2026"
    assert "Chosen on other days" in turned.text

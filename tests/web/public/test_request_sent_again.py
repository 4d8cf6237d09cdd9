"""The request form sent again: the browser that holds it is shown what came of it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app.rules.lifecycle import Kind
from app.store.models import Booking, OutboxEmail
from tests.harness.pages import ASHA, ask, filled, text
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", list(Kind))
def test_the_same_form_again_leads_to_the_booking_it_made(
    cast: Cast, at: Any, visitor: Visitor, kind: Kind
) -> None:
    data = filled(visitor, kind=kind)
    for minutes in range(3):
        at(MONDAY + timedelta(minutes=minutes))
        answer = visitor.post(ASHA, data=data)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{ASHA}/requested")
        assert Booking.get().reference in text(visitor.get(f"{ASHA}/requested"))
    assert (Booking.select().count(), OutboxEmail.select().count()) == (1, 2)


@pytest.mark.both_databases
def test_the_same_form_pressed_often_at_once_makes_one_booking(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    data, together = filled(visitor), Barrier(4)
    cookie = visitor.get_cookie("mindsum")

    def press(_number: int) -> tuple[int, str]:
        same_browser = another_visitor(app)
        same_browser.set_cookie("mindsum", cookie.value)
        together.wait(PATIENCE_S)
        answer = same_browser.post(ASHA, data=data)
        receipt = same_browser.get(f"{ASHA}/requested").text
        return answer.status_code, re.search("MB-[A-Z0-9]{6}", receipt)[0]

    with ThreadPoolExecutor(4) as threads:
        came_to = set(threads.map(press, range(4)))
    assert came_to == {(303, Booking.get().reference)}


def test_another_time_in_the_same_form_is_another_request(cast: Cast, visitor: Visitor) -> None:
    data = filled(visitor)
    assert visitor.post(ASHA, data=data).status_code == 303
    other = {**data, "starts_at": "2026-11-03T12:00:00Z"}
    assert visitor.post(ASHA, data=other).status_code == 303
    assert Booking.select().count() == 2


def test_the_same_words_in_a_form_opened_later_are_another_request(
    story: Story, visitor: Visitor
) -> None:
    visitor.post(ASHA, data=filled(visitor))
    story.withdraw(Booking.get())
    assert visitor.post(ASHA, data=filled(visitor)).status_code == 303
    assert Booking.select().count() == 2


def test_a_stranger_with_the_same_words_is_told_only_that_the_time_has_gone(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    data = filled(visitor)
    visitor.post(ASHA, data=data)
    stranger = another_visitor(app)
    # The key of somebody else's form opens nothing without their browser's cookie.
    stolen = {**filled(stranger), "form_key": data["form_key"]}
    assert "just gone" in text(stranger.post(ASHA, data=stolen))
    assert stranger.post(ASHA, data=data).status_code == 400
    assert Booking.get().reference not in stranger.get(f"{ASHA}/requested").text


def test_a_time_that_was_taken_and_is_open_again_is_taken_by_the_same_form(
    story: Story, visitor: Visitor
) -> None:
    data, taken = filled(visitor), ask()
    assert visitor.post(ASHA, data=data).status_code == 409
    story.withdraw(taken)
    assert visitor.post(ASHA, data=data).status_code == 303


def test_what_came_of_it_is_how_things_are_now(story: Story, visitor: Visitor) -> None:
    data = filled(visitor)
    visitor.post(ASHA, data=data)
    assert "Answer by" in visitor.get(f"{ASHA}/requested").text
    story.accept(Booking.get())
    visitor.post(ASHA, data=data)
    receipt = text(visitor.get(f"{ASHA}/requested"))
    assert "Your session with Asha is confirmed" in receipt
    assert "Answer by" not in receipt


def test_times_are_not_filled_in_by_a_browser_that_goes_back(cast: Cast, visitor: Visitor) -> None:
    times = re.findall(r'<input type="radio"[^>]+name="starts_at"[^>]*>', visitor.get(ASHA).text)
    assert times
    assert all('autocomplete="off"' in each for each in times)

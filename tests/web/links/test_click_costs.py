"""What a click costs: it loads its booking once before and once after the lock."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.store.db import database
from app.store.models import Booking
from app.web.links import tokens
from tests.harness.api_calls import Call
from tests.harness.pages import filled
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, counted_queries

Click = Callable[[Visitor, Story, Booking], Any]
LOAD = re.compile(r'INNER JOIN "client" .* WHERE \("t1"\."(reference|id)" = ')


def press(purpose: LinkPurpose, after: str = "") -> Click:
    return lambda visitor, _, booking: visitor.post(tokens.path(purpose, booking) + after)


def choose_another(visitor: Visitor, story: Story, booking: Booking) -> Any:
    choice = {"choice": f"bran@{story.now:%Y-%m-%d}T15:00:00Z"}
    return visitor.post(tokens.path(LinkPurpose.CHOOSE, booking), data=choice)


# At most so many statements on SQLite, beside BEGIN and COMMIT; PostgreSQL has one more: a lock.
CLICKS: dict[str, tuple[Click, int]] = {
    "accept": (press(LinkPurpose.ACCEPT), 7),
    "decline": (press(LinkPurpose.DECLINE), 9),
    "withdraw": (press(LinkPurpose.MANAGE, "/cancel"), 12),
    "choose someone else": (choose_another, 24),
}


@pytest.mark.parametrize("name", CLICKS)
def test_a_click_loads_its_booking_once_before_and_once_after_the_lock(
    name: str, app: Flask, story: Story, visitor: Visitor
) -> None:
    click, statements = CLICKS[name]
    booking = story.ask()
    with app.test_request_context(), counted_queries() as seen:
        assert click(visitor, story, booking).status_code == 200
    assert len([each for each in seen if LOAD.search(each)]) == 2
    assert len(seen) <= statements + (not database.is_sqlite()), seen


def test_a_request_loads_its_therapist_once_before_and_once_after_the_lock(
    story: Story, visitor: Visitor
) -> None:
    typed = filled(visitor)
    with counted_queries() as seen:
        assert visitor.post("/therapists/asha", data=typed).status_code == 303
    assert len([each for each in seen if 'FROM "therapist"' in each]) == 2
    # Two of them find and keep the answer of the form, for when it is sent again; one more looks
    # for requests that are open; four count the network's requests, of which this is the first.
    assert len(seen) <= 23, seen


def test_a_request_through_the_api_loads_its_therapist_once_under_the_lock(ask: Call) -> None:
    with counted_queries() as seen:
        assert ask(note="a note").status_code == 201
    assert len([each for each in seen if 'FROM "therapist"' in each]) == 1
    assert len(seen) <= 15, seen

"""Requests from the public form are limited by network, in the database."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock, config, create_app
from app.errors import TooManyRequests
from app.services import limits
from app.services.jobs import due
from app.store.db.database import in_transaction
from app.store.models import Booking, LimitUse, PendingRequest
from tests.harness.pages import ASHA, filled
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import at_once, total
from tests.web.conftest import another_visitor

HOUR = timedelta(hours=1)
TIMES = [f"2026-11-0{day}T{hour}:00:00Z" for day in (3, 4, 5) for hour in (10, 11, 12, 13)]


@pytest.fixture(params=["never", "always"])
def three_an_hour(app: Flask, request: pytest.FixtureRequest) -> Any:
    """A site that takes three requests of a network in an hour, with and without confirming."""
    settings = config.current()
    changes = {"requests_per_network": 3, "confirm_address": request.param}
    yield create_app(settings.model_copy(update=changes))
    create_app(settings)


def post(app: Flask, number: int, address: str = "192.0.2.1", **headers: str) -> Any:
    """Send the request form as a new visitor."""
    visitor = another_visitor(app)
    form = filled(visitor, starts_at=TIMES[number], email=f"client{number}@clients.example")
    return visitor.post(ASHA, data=form, headers=headers, environ_base={"REMOTE_ADDR": address})


def test_a_network_sends_so_many_requests_in_any_hour(
    cast: Cast, at: Any, three_an_hour: Flask
) -> None:
    for minutes in (0, 10, 20):
        at(MONDAY + timedelta(minutes=minutes))
        assert post(three_an_hour, minutes // 10).status_code == 303
    at(MONDAY + timedelta(minutes=59, seconds=59))
    refused = post(three_an_hour, 3)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "Many requests came from your network" in refused.text
    assert "A note for Asha" in refused.text
    at(MONDAY + HOUR)
    assert post(three_an_hour, 3).status_code == 303
    assert post(three_an_hour, 4).status_code == 429
    assert Booking.select().count() + PendingRequest.select().count() == 4


@pytest.mark.parametrize(
    ("same", "others"),
    [
        (("192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"), "192.0.2.2"),
        (("2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:db8:1:2::2"), "2001:db8:1:3::1"),
    ],
)
def test_one_network_in_many_spellings_is_one_and_another_is_not_limited(
    cast: Cast, three_an_hour: Flask, same: tuple[str, ...], others: str
) -> None:
    sent = [post(three_an_hour, number, address) for number, address in enumerate(same)]
    assert [each.status_code for each in sent] == [303] * 3
    assert post(three_an_hour, 3, same[0]).status_code == 429
    assert post(three_an_hour, 3, others).status_code == 303


def test_the_form_sent_again_is_not_counted_and_a_request_that_is_refused_is(
    cast: Cast, three_an_hour: Flask
) -> None:
    visitor = another_visitor(three_an_hour)
    form = filled(visitor)
    assert {visitor.post(ASHA, data=form).status_code for _ in range(5)} == {303}
    statuses = []
    for starts_at in ("2026-11-03T10:00:00Z", "2026-11-03T10:07:00Z", TIMES[1]):
        sent = visitor.post(ASHA, data=filled(visitor, starts_at=starts_at))
        statuses.append(sent.status_code)
    # Taken, no open time, and one too many.
    assert statuses == [409, 422, 429]
    [counted] = LimitUse.select()
    assert len(counted.moments) == 3


def test_the_database_names_no_network(cast: Cast, three_an_hour: Flask) -> None:
    post(three_an_hour, 0)
    [counted] = LimitUse.select()
    assert len(counted.subject) == 64
    assert "192.0.2.1" not in str(counted.__data__)


def test_a_proxy_that_is_not_counted_leaves_requests_unlimited_and_is_noted_for_a_day(
    cast: Cast, at: Any, three_an_hour: Flask
) -> None:
    assert not limits.hides_networks(clock.now())
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    sent = [post(three_an_hour, number, "127.0.0.1", **forwarded) for number in range(5)]
    assert {each.status_code for each in sent} == {303}
    assert limits.hides_networks(clock.now())
    at(MONDAY + timedelta(days=1))
    assert not limits.hides_networks(clock.now())
    total(due.purge(clock.now()))
    assert not LimitUse.select().exists()


def test_in_the_demo_one_person_may_play_everybody(app: Flask, tmp_path: Any) -> None:
    config.use(config.current().model_copy(update={"demo_dir": tmp_path}))
    for _ in range(500):
        limits.count_request("192.0.2.1", MONDAY)


@pytest.mark.both_databases
def test_of_many_requests_at_once_no_more_than_the_limit_are_taken(app: Flask) -> None:
    @in_transaction
    def ask() -> None:
        limits.count_request("192.0.2.1", MONDAY)

    outcomes = at_once([ask] * 24)
    refused = [each for each in outcomes if isinstance(each, TooManyRequests)]
    assert (len(refused), outcomes.count(None)) == (4, 20)


@pytest.mark.both_databases
def test_what_a_failed_request_used_is_given_back(app: Flask) -> None:
    @in_transaction
    def fail() -> None:
        limits.count_request("192.0.2.1", MONDAY)
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert not LimitUse.select().exists()

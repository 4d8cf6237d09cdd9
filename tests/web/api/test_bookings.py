"""The API for bookings, on both databases: asking, reading, cancelling."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app.store.models import Booking, OutboxEmail
from tests.harness.api_calls import DEE, SECOND, TUESDAY_10, Call, accept, assert_problem, wanted, z
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY


def test_a_request_is_answered_with_exactly_the_promised_fields(ask: Call) -> None:
    created = ask(note="I would rather not say it twice.")
    assert created.status_code == 201
    body = created.get_json()
    reference = body.pop("reference")
    assert created.headers["Location"] == f"http://mindsum.test/api/v1/bookings/{reference}"
    assert body == {
        "status": "requested",
        "therapist": "asha",
        "kind": "paid",
        "starts_at": "2026-11-03T10:00:00Z",
        "ends_at": "2026-11-03T10:50:00Z",
        "requested_at": "2026-11-02T09:00:00Z",
        "answer_by": "2026-11-02T12:00:00Z",
        "expires_at": "2026-11-03T09:00:00Z",
        "late": False,
        "price": {"amount": 6000, "currency": "GBP"},
        "proposal": None,
    }


def test_a_free_consultation_is_shorter_and_costs_nothing(ask: Call) -> None:
    body = ask(kind="free_consultation").get_json()
    assert body["ends_at"] == "2026-11-03T10:30:00Z"
    assert body["price"] == {"amount": 0, "currency": "GBP"}


@pytest.mark.parametrize(
    ("given_name", "called"),
    [({}, "Dee"), ({"given_name": None}, "Dee"), ({"given_name": "Dr Stone"}, "Dr Stone")],
)
def test_a_given_name_is_optional_and_derived_where_it_is_left_out(
    ask: Call, given_name: dict[str, str | None], called: str
) -> None:
    assert ask(client={**DEE, "name": "Stone, Dr. Dee", **given_name}).status_code == 201
    assert Booking.get().client_given_name == called


def test_a_start_in_another_offset_is_the_same_instant(ask: Call) -> None:
    assert ask(starts_at="2026-11-03T15:30:00+05:30").get_json()["starts_at"] == z(TUESDAY_10)


@pytest.mark.parametrize(
    "fraction", [".0", ".000", ".000000", ".0000000", ".000000000", ".000000000000"]
)
def test_a_start_may_have_any_number_of_fractional_digits(ask: Call, fraction: str) -> None:
    starts_at = z(TUESDAY_10).replace("Z", f"{fraction}Z")
    assert ask(starts_at=starts_at).get_json()["starts_at"] == z(TUESDAY_10)


def test_a_body_may_begin_with_a_byte_order_mark(call: Call) -> None:
    body = json.dumps(wanted()).encode("utf-8-sig")
    reference = call("POST", "bookings", body).get_json()["reference"]
    cancelled = call("POST", f"bookings/{reference}/cancel", b'\xef\xbb\xbf{"by": "client"}')
    assert cancelled.status_code == 200


def test_reading_a_booking_adds_its_timeline_and_ledger(call: Call, ask: Call) -> None:
    created = ask().get_json()
    accept(created["reference"])
    shown = call("GET", f"bookings/{created['reference'].lower()}").get_json()
    assert shown.pop("timeline") == [
        {"at": z(MONDAY), "event": "requested", "by": "client", "via": "api"},
        {"at": z(MONDAY), "event": "accepted", "by": "therapist", "via": "link"},
    ]
    assert shown.pop("ledger") == [
        {"account": "client", "amount": -6000},
        {"account": "held", "amount": 6000},
    ]
    assert shown.pop("unreached") == []
    assert shown == {**created, "status": "accepted"}


def test_reading_after_expiry_shows_the_expiry_that_no_job_has_written(
    call: Call, ask: Call, at: Any
) -> None:
    reference = ask().get_json()["reference"]
    at(MONDAY + timedelta(hours=24) - SECOND)
    assert call("GET", f"bookings/{reference}").get_json()["status"] == "requested"
    at(MONDAY + timedelta(hours=24))
    for _ in range(2):
        shown = call("GET", f"bookings/{reference}").get_json()
        assert shown["status"] == "expired"
        assert shown["late"] is True
        assert shown["timeline"][1:] == [
            {"at": "2026-11-03T09:00:00Z", "event": "expired", "by": "system", "via": "api"}
        ]
        assert sum(line["amount"] for line in shown["ledger"]) == 0
        assert len(shown["ledger"]) == 4


@pytest.mark.parametrize(
    ("answered_after", "is_late"),
    [(timedelta(hours=3), False), (timedelta(hours=3, seconds=1), True)],
)
@pytest.mark.parametrize("answer", ["none", "accept", "withdraw"])
def test_late_begins_one_second_after_three_hours_whatever_no_job_did(
    call: Call, ask: Call, at: Any, answered_after: timedelta, is_late: bool, answer: str
) -> None:
    reference = ask().get_json()["reference"]
    at(MONDAY + answered_after)
    if answer == "accept":
        accept(reference)
    elif answer == "withdraw":
        call("POST", f"bookings/{reference}/cancel", {"by": "client"})
    assert call("GET", f"bookings/{reference}").get_json()["late"] is is_late
    if answer != "none":
        at(MONDAY + timedelta(hours=20))
        assert call("GET", f"bookings/{reference}").get_json()["late"] is is_late


def test_twenty_at_once_for_one_time_get_one_booking(app: Flask, call: Call) -> None:
    together = Barrier(20)

    def race(number: int) -> str:
        client = {**DEE, "email": f"client{number}@clients.example"}
        together.wait(PATIENCE_S)
        response = call("POST", "bookings", wanted(client=client))
        return str(response.get_json(force=True).get("code", response.status_code))

    with ThreadPoolExecutor(20) as threads:
        came_to = sorted(threads.map(race, range(20)))
    assert came_to == ["201"] + ["slot_taken"] * 19
    assert Booking.select().count() == 1


def test_a_clients_open_enquiry_is_withdrawn_and_again_is_no_error(call: Call, ask: Call) -> None:
    reference = ask().get_json()["reference"]
    first = call("POST", f"bookings/{reference}/cancel", {"by": "client"})
    assert (first.status_code, first.get_json()["status"]) == (200, "withdrawn")
    emails = OutboxEmail.select().count()
    again = call("POST", f"bookings/{reference}/cancel", {"by": "client"})
    assert (again.status_code, again.data) == (200, first.data)
    assert OutboxEmail.select().count() == emails


@pytest.mark.parametrize("by", ["client", "therapist"])
def test_either_side_can_cancel_an_accepted_session(call: Call, ask: Call, by: str) -> None:
    reference = ask().get_json()["reference"]
    accept(reference)
    for _ in range(2):
        done = call("POST", f"bookings/{reference}/cancel", {"by": by})
        assert (done.status_code, done.get_json()["status"]) == (200, f"cancelled_by_{by}")
        assert done.get_json()["timeline"][-1]["via"] == "api"
    other = "therapist" if by == "client" else "client"
    refused = call("POST", f"bookings/{reference}/cancel", {"by": other})
    problem = assert_problem(refused, 409, "move_not_allowed")
    assert problem["booking"] == done.get_json()


@pytest.mark.parametrize(
    ("by", "is_accepted", "after", "status", "words"),
    [
        ("therapist", False, timedelta(0), "requested", "declines"),
        ("client", False, timedelta(hours=24), "expired", "already expired"),
        ("client", True, timedelta(hours=25), "accepted", "has started"),
        ("therapist", True, timedelta(hours=25), "accepted", "has started"),
        ("therapist", True, timedelta(hours=26), "completed", "already completed"),
    ],
)
def test_an_impossible_cancellation_is_refused_with_the_state(
    call: Call, ask: Call, at: Any,
    by: str, is_accepted: bool, after: timedelta, status: str, words: str,
) -> None:  # fmt: skip
    reference = ask().get_json()["reference"]
    if is_accepted:
        accept(reference)
    at(MONDAY + after)
    refused = call("POST", f"bookings/{reference}/cancel", {"by": by})
    problem = assert_problem(refused, 409, "move_not_allowed")
    assert problem["booking"]["status"] == status
    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "by"), ({"by": "ops"}, "by"), ({"by": None}, "by"), ({"by": "client", "x": 1}, "x")],
)
def test_who_cancels_must_be_client_or_therapist(
    call: Call, ask: Call, body: dict[str, Any], field: str
) -> None:
    reference = ask().get_json()["reference"]
    refused = call("POST", f"bookings/{reference}/cancel", body)
    assert_problem(refused, 422, "invalid_fields", field)

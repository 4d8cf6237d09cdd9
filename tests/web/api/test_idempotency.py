"""Idempotency keys, on both databases: one answer, however often and at once it is asked for."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from app import config
from app.services.jobs import due
from app.store.models import Booking, IdempotentAnswer, LedgerLine, OutboxEmail
from tests.harness.api_calls import ELI, SECOND, TUESDAY_10, Call, assert_problem, wanted, z
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import total


@pytest.mark.both_databases
def test_the_same_key_and_json_get_the_first_answer_again(call: Call, at: Any) -> None:
    first = call("POST", "bookings", wanted(), **{"Idempotency-Key": "k-1"})
    at(MONDAY + timedelta(hours=30))
    reordered = json.dumps(dict(reversed(wanted().items())), indent=2).encode()
    again = call("POST", "bookings", reordered, **{"Idempotency-Key": "k-1"})
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert (Booking.select().count(), OutboxEmail.select().count()) == (1, 2)
    assert LedgerLine.select().count() == 2


def test_a_refusal_is_kept_too(call: Call, ask: Call) -> None:
    taken = ask(client=ELI).get_json()["reference"]
    key = {"Idempotency-Key": "k-1"}
    first = call("POST", "bookings", wanted(), **key)
    assert_problem(first, 409, "slot_taken")
    call("POST", f"bookings/{taken}/cancel", {"by": "client"})
    again = call("POST", "bookings", wanted(), **key)
    assert_problem(again, 409, "slot_taken")
    assert again.data == first.data
    assert call("POST", "bookings", wanted(), **{"Idempotency-Key": "k-2"}).status_code == 201


def test_a_key_with_another_body_is_refused(call: Call) -> None:
    key = {"Idempotency-Key": "k-1"}
    call("POST", "bookings", wanted(), **key)
    refused = call("POST", "bookings", wanted(note="and one more thing"), **key)
    assert_problem(refused, 422, "idempotency_key_reused")
    assert Booking.select().count() == 1


def test_a_corrected_request_may_keep_its_key(call: Call) -> None:
    key = {"Idempotency-Key": "k-1"}
    too_soon = wanted(starts_at="2026-11-02T10:00:00Z")
    assert_problem(call("POST", "bookings", too_soon, **key), 422, "invalid_fields", "starts_at")
    assert call("POST", "bookings", wanted(), **key).status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "clé", "x" * 256])
def test_an_idempotency_key_is_255_visible_characters_at_most(call: Call, key: str) -> None:
    refused = call("POST", "bookings", wanted(), **{"Idempotency-Key": key})
    assert_problem(refused, 422, "invalid_fields", "Idempotency-Key")
    assert not Booking.select().exists()


def test_callers_do_not_share_idempotency_keys(call: Call) -> None:
    keys = ("test-api-key", "another-api-key")
    config.use(config.current().model_copy(update={"api_keys": keys}))
    for number, key in enumerate(keys):
        body = wanted(starts_at=z(TUESDAY_10 + timedelta(hours=number)))
        headers = {"Idempotency-Key": "x" * 255, "Authorization": f"Bearer {key}"}
        assert call("POST", "bookings", body, **headers).status_code == 201


@pytest.mark.both_databases
@pytest.mark.parametrize("therapists", [("asha",), ("asha", "bran")])
def test_one_key_many_times_at_once_makes_one_booking(
    call: Call, therapists: tuple[str, ...]
) -> None:
    together = Barrier(8)

    def race(number: int) -> tuple[int, bytes]:
        slug = therapists[number % len(therapists)]
        together.wait(PATIENCE_S)
        body = wanted(therapist=slug, starts_at="2026-11-03T15:00:00Z")
        response = call("POST", "bookings", body, **{"Idempotency-Key": "k-1"})
        return response.status_code, response.data

    with ThreadPoolExecutor(8) as threads:
        came_to = set(threads.map(race, range(8)))
    assert {status for status, _ in came_to} == ({201} if len(therapists) == 1 else {201, 422})
    assert len(came_to) == len(therapists)
    assert (Booking.select().count(), IdempotentAnswer.select().count()) == (1, 1)


def test_kept_answers_are_purged_after_two_days_not_sooner(call: Call, at: Any) -> None:
    call("POST", "bookings", wanted(), **{"Idempotency-Key": "k-1"})
    total(due.purge(at(MONDAY + timedelta(days=2))))
    assert IdempotentAnswer.select().count() == 1
    total(due.purge(at(MONDAY + timedelta(days=2) + SECOND)))
    assert IdempotentAnswer.select().count() == 0

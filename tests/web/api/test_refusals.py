"""Every way in which the API says no, by name and in order, on both databases."""

import json
from datetime import timedelta
from typing import Any

import limits
import pytest
from flask import Flask

from app import config, create_app, logs
from app.services.therapists import accounts
from app.store.db import database
from app.store.models import Booking, Therapist
from app.web.security import API_LIMIT
from tests.harness.api_calls import DEE, ELI, KEY, TUESDAY_10, Call, assert_problem, wanted, z
from tests.scenarios.cast import Cast


@pytest.mark.parametrize(
    "key", [None, "Bearer", "Bearer nobody's", "Basic dGVzdDp0ZXN0", "Bearer é"]
)
@pytest.mark.parametrize("path", ["therapists", "bookings/MB-222222", "nowhere"])
def test_without_one_of_our_keys_every_address_is_401(app: Flask, key: str, path: str) -> None:
    headers = {"Authorization": key} if key else {}
    refused = app.test_client().get(f"/api/v1/{path}", headers=headers)
    assert_problem(refused, 401, "unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_where_no_key_is_configured_every_key_is_401(app: Flask, call: Call) -> None:
    config.use(config.current().model_copy(update={"api_keys": ()}))
    for key in ("Bearer test-api-key", "Bearer ", "Bearer None"):
        assert_problem(call("GET", "therapists", Authorization=key), 401, "unauthorized")


def test_a_key_that_may_only_read_changes_nothing(
    app: Flask, cast: Cast, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json")
    keys = ("shop:read:just-look", "desk:write:do-it", "bare")
    config.use(config.current().model_copy(update={"api_keys": keys}))
    looks, desk, bare = (
        {"Authorization": f"Bearer {key}"} for key in ("just-look", "do-it", "bare")
    )
    assert call("GET", "therapists", **looks).status_code == 200
    assert_problem(call("POST", "bookings", wanted(), **looks), 403, "read_only_key")
    assert Booking.select().count() == 0
    made = call("POST", "bookings", wanted(), **desk).get_json()["reference"]
    cancelling = f"bookings/{made}/cancel"
    for path in (cancelling, "bookings/MB-222222/cancel", "nowhere"):
        assert_problem(call("POST", path, {"by": "client"}, **looks), 403, "read_only_key")
    assert call("GET", f"bookings/{made}", **looks).get_json()["status"] == "requested"
    assert call("POST", cancelling, {"by": "client"}, **bare).status_code == 200
    assert_problem(
        call("GET", "therapists", Authorization=f"Bearer {keys[1]}"), 401, "unauthorized"
    )
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("api_key")) for line in lines] == [
        ("requested", "desk"),
        ("withdrawn", None),
    ]
    logs.configure("text")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nowhere", 404, "not_found"),
        ("GET", "bookings/", 404, "not_found"),
        ("GET", "bookings/MB-222222", 404, "not_found"),
        ("GET", "bookings/%E2%80%AE", 404, "not_found"),
        ("GET", "bookings/%00", 400, "bad_request"),
        ("POST", "bookings/MB-222222/cancel", 404, "not_found"),
        ("GET", "therapists/nobody", 404, "not_found"),
        ("GET", "therapists/%F0%9F%92%A5", 404, "not_found"),
        ("GET", "therapists/nobody/slots?days=0", 404, "not_found"),
        ("DELETE", "bookings", 405, "method_not_allowed"),
        ("GET", "bookings", 405, "method_not_allowed"),
        ("POST", "therapists", 405, "method_not_allowed"),
    ],
)
def test_addresses_and_methods_that_do_not_exist(
    call: Call, method: str, path: str, status: int, code: str
) -> None:
    refused = call(method, path)
    assert_problem(refused, status, code)
    assert ("Allow" in refused.headers) is (status == 405)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"asha"', b"\xff\xfe{}", b'{"a": NaN}', b"[" * 100_000,
        b"1" * 5000, b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf{}", b'{"a":' * 30_000,
        '{"name": "Zoë"}'.encode("latin-1"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(call: Call, body: bytes) -> None:
    assert_problem(call("POST", "bookings", body), 422, "invalid_body", "body")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ('{"therapist": "asha", "therapist": "bran"}', ["therapist"]),
        ('{"kind": "paid", "kind": "paid", "note": "", "note": "", "note": ""}', ["kind", "note"]),
        ('{"client": {"name": "Dee", "name": "Eli"}}', ["client.name"]),
        ('{"a": [{"b": 1, "\\u0062": 2}]}', ["a.b"]),
        ('{"\\ud800": 1, "\\ud800": 2}', ["?"]),
    ],
)
def test_a_field_that_comes_twice_is_refused_by_name(
    call: Call, body: str, fields: list[str]
) -> None:
    refused = call("POST", "bookings", body.encode())
    problem = assert_problem(refused, 422, "invalid_fields", *fields)
    assert "once" in problem["errors"][0]["message"]
    assert not Booking.select().exists()


def test_a_body_of_ten_megabytes_is_refused_unread(call: Call) -> None:
    assert_problem(call("POST", "bookings", b" " * 10_000_000), 413, "body_too_large")


BAD_FIELDS = [
    ({"therapist": 7}, "therapist", "the slug of a therapist"),
    ({"therapist": ""}, "therapist", "the slug of a therapist"),
    ({"therapist": None}, "therapist", "the slug of a therapist"),
    ({"client": "Dee"}, "client", "name, email and timezone"),
    ({"client": {**DEE, "name": " "}}, "client.name", "give a name"),
    ({"client": {**DEE, "name": "x" * 121}}, "client.name", "120 characters"),
    ({"client": {**DEE, "name": "Dee\r\nBcc: x@y.example"}}, "client.name", "line breaks"),
    ({"client": {**DEE, "name": "Dee \ud800"}}, "client.name", "name"),
    ({"client": {**DEE, "name": None}}, "client.name", "a name in one line"),
    ({"client": {**DEE, "name": "\u3164\u200d"}}, "client.name", "can be seen"),
    ({"client": {**DEE, "name": "\u202eeeD"}}, "client.name", "invisible"),
    ({"client": {**DEE, "given_name": "\u200b"}}, "client.given_name", "invisible"),
    ({"client": {**DEE, "given_name": "x" * 61}}, "client.given_name", "60 characters"),
    ({"client": {**DEE, "given_name": 7}}, "client.given_name", "what the client wants"),
    ({"client": {**DEE, "email": "dee"}}, "client.email", "name@example.org"),
    ({"client": {**DEE, "email": 1}}, "client.email", "name@example.org"),
    ({"client": {**DEE, "timezone": "Mars/Olympus"}}, "client.timezone", "Europe/London"),
    ({"client": {**DEE, "phone": "1"}}, "client.phone", "no such field"),
    ({"starts_at": "2026-11-03T10:00:00"}, "starts_at", "offset"),
    ({"starts_at": "2026-11-03T10:00:00.Z"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "2026-11-03"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "2026-02-30T10:00:00Z"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "2026-11-03T10:00:00+99:00"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "2026-11-03T10:00:00+00:60"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "9999-12-31T23:59:59-01:00"}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "0001-01-01T00:00:00Z"}, "starts_at", "year 2000"),
    ({"starts_at": 1_793_700_000}, "starts_at", "2026-11-03T10:00:00Z"),
    ({"starts_at": "2026-11-02T12:59:59Z"}, "starts_at", "4 hours"),
    ({"starts_at": "2027-11-03T10:00:00Z"}, "starts_at", "60 days"),
    ({"starts_at": "2026-11-03T10:10:00Z"}, "starts_at", "open times"),
    ({"starts_at": "2026-11-03T20:00:00Z"}, "starts_at", "open times"),
    ({"kind": "gratis"}, "kind", "paid or free_consultation"),
    ({"note": "x" * 4001}, "note", "4000"),
    ({"note": "\x00"}, "note", "control characters"),
    ({"note": 7}, "note", "4000"),
    ({"price": 1}, "price", "no such field"),
    ({"\ud800": 1}, "body", "UTF-8"),
]


@pytest.mark.parametrize(("change", "field", "right"), BAD_FIELDS)
def test_a_bad_field_comes_back_by_name_with_what_is_right(
    ask: Call, change: dict[str, Any], field: str, right: str
) -> None:
    problem = assert_problem(ask(**change), 422, "invalid_fields", field)
    assert right in problem["errors"][0]["message"]
    assert not Booking.select().exists()


def test_every_missing_field_is_named_at_once(call: Call) -> None:
    refused = call("POST", "bookings", {"client": {"name": "Dee"}})
    assert_problem(
        refused, 422, "invalid_fields",
        "therapist", "client.email", "client.timezone", "starts_at", "kind",
    )  # fmt: skip


def test_no_free_consultation_where_none_is_offered(ask: Call, cast: Cast) -> None:
    Therapist.update(offers_free_consultation=False).execute()
    assert_problem(ask(kind="free_consultation"), 422, "invalid_fields", "kind")


@pytest.mark.parametrize(
    ("faults", "status", "code"),
    [
        ({"key", "therapist", "field", "paused", "free", "taken"}, 401, "unauthorized"),
        ({"therapist", "field", "paused", "free", "taken"}, 404, "not_found"),
        ({"field", "paused", "free", "taken"}, 422, "invalid_fields"),
        ({"paused", "free", "taken"}, 409, "therapist_unavailable"),
        ({"free", "taken"}, 409, "free_consultation_used"),
        ({"taken"}, 409, "slot_taken"),
    ],
)
def test_of_several_faults_the_first_in_precedence_is_told(
    call: Call, ask: Call, faults: set[str], status: int, code: str
) -> None:
    assert ask(client=ELI).status_code == 201
    later = z(TUESDAY_10 + timedelta(hours=2))
    assert ask(kind="free_consultation", starts_at=later).status_code == 201
    if "paused" in faults:
        accounts.pause("asha", on=True)
    body = wanted(kind="free_consultation" if "free" in faults else "paid")
    if "therapist" in faults:
        body["therapist"] = "nobody"
    if "field" in faults:
        body["client"] = {**DEE, "email": "dee"}
    headers = {"Authorization": "Bearer wrong"} if "key" in faults else {}
    refused = call("POST", "bookings", body, **headers)
    assert_problem(refused, status, code, *(["client.email"] if status == 422 else []))
    assert Booking.select().count() == 2


def test_too_many_calls_of_one_key_are_429_and_say_when_to_come_back(
    app: Flask, cast: Cast
) -> None:
    keys = ("test-api-key", "another-api-key")
    strict = create_app(
        config.current().model_copy(update={"ratelimit_enabled": True, "api_keys": keys})
    )
    client = strict.test_client()
    for _ in range(limits.parse(API_LIMIT).amount):
        assert client.get("/api/v1/therapists/nobody", headers=KEY).status_code == 404
    refused = client.get("/api/v1/therapists", headers=KEY)
    assert_problem(refused, 429, "too_many_requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    other = client.get("/api/v1/therapists", headers={"Authorization": "Bearer another-api-key"})
    assert other.status_code == 200


def test_without_its_database_the_api_says_so(app: Flask, cast: Cast) -> None:
    bound = database.db.obj
    try:
        database.bind("postgresql://127.0.0.1:1/nowhere")
        refused = app.test_client().get("/api/v1/therapists", headers=KEY)
    finally:
        database.db.initialize(bound)
    assert_problem(refused, 503, "store_unavailable")
    assert int(refused.headers["Retry-After"]) > 0

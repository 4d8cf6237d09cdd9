"""Asking for a session on a therapist's page, as a visitor without scripts does."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.rules.lifecycle import Kind, Status
from app.services.therapists import accounts
from app.store import queries
from app.store.models import Booking, Writing
from tests.harness.page_stories import forms
from tests.harness.pages import ASHA, TUESDAY_10, ask, filled, text, token
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import Visitor, another_visitor


def button(response: Any) -> str:
    """The words on the button that sends the request."""
    [words] = re.findall(
        r'<button class="btn btn-primary" type="submit">(.*?)</button>', response.text
    )
    return re.sub(r"<[^>]+>", "", words)


def test_asking_holds_the_time_and_says_what_happens_next(cast: Cast, visitor: Visitor) -> None:
    answer = visitor.post(ASHA, data=filled(visitor))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{ASHA}/requested")
    booking = Booking.get()
    assert (booking.status, booking.starts_at) == (Status.REQUESTED, TUESDAY_10)
    assert Writing.get().body == "A note for Asha"
    receipt = text(visitor.get(f"{ASHA}/requested"))
    assert booking.reference in receipt
    assert "Tue 3 Nov 2026, 05:00–05:50 (New York, EST)" in receipt


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"name": 7, "note": ["x"], "csrf_token": {}}},
        {"json": ["name"]},
        {"data": b"{", "content_type": "application/json"},
        {"files": "name"},
        {"files": "csrf_token"},
        {"data": b"", "content_type": "multipart/form-data"},
    ],
)
def test_what_is_no_form_is_refused_with_the_form(
    cast: Cast, visitor: Visitor, body: dict[str, Any]
) -> None:
    if "files" in body:
        # Sending a file closes it, so each test has its own.
        body = {"data": {body["files"]: (io.BytesIO(b"Dee"), "name.txt")}}
    answer = visitor.post(ASHA, **body)
    assert answer.status_code == 400
    assert "csrf_token" in answer.text
    assert not Booking.select().exists()


def test_a_file_in_place_of_a_text_is_refused_beside_its_field(
    cast: Cast, visitor: Visitor
) -> None:
    data = {**filled(visitor), "name": (io.BytesIO(b"Dee"), "name.txt")}
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 422
    assert "Please give a name." in answer.text


def test_the_receipt_tells_a_stranger_nothing(app: Flask, cast: Cast, visitor: Visitor) -> None:
    visitor.post(ASHA, data=filled(visitor))
    seen = text(another_visitor(app).get(f"{ASHA}/requested"))
    assert Booking.get().reference not in seen
    assert "Asha" not in seen


def test_the_receipt_is_gone_after_an_hour(cast: Cast, at: Any, visitor: Visitor) -> None:
    visitor.post(ASHA, data=filled(visitor))
    at(MONDAY + timedelta(hours=1))
    assert Booking.get().reference not in visitor.get(f"{ASHA}/requested").text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("starts_at", "", "Please choose one of the open times."),
        ("starts_at", "2026-11-03T10:00:00", "Please choose one of the open times."),
        ("starts_at", "0001-01-01T00:00:00+14:00", "Please choose one of the open times."),
        ("starts_at", "2026-11-03T10:07:00Z", "not one of the therapist's open times"),
        ("starts_at", "2026-11-02T10:00:00Z", "at least 4 hours ahead"),
        ("starts_at", "2028-11-02T10:00:00Z", "at most 60 days ahead"),
        ("kind", "", "choose a kind of session"),
        ("name", "  ", "Please give a name."),
        ("name", "D" * 121, "120 characters or fewer"),
        ("name", "Dee\r\nBcc: x@y.example", "Please leave control characters"),
        ("name", "\u2800\u2800", "a name that can be seen"),
        ("given_name", "\u202eeeD", "invisible characters"),
        ("name", "Stone, Ms", "Please say what to call you"),
        ("email", "dee", "Please give an email address"),
        ("email", "dee@x.example\nBcc: a@b.example", "Please give an email address"),
        ("timezone", "Mars/Olympus", "Please give a time zone"),
        ("note", "x" * 4001, "4000 characters or fewer"),
    ],
)
def test_what_is_wrong_comes_back_by_name_with_the_rest_kept(
    cast: Cast, visitor: Visitor, field: str, value: str, said: str
) -> None:
    answer = visitor.post(ASHA, data=filled(visitor, **{field: value}))
    assert answer.status_code == 422
    assert said in text(answer)
    kept = {"name": 'value="Dee Stone"', "email": 'value="dee@clients.example"'}
    kept["timezone"], kept["note"] = 'value="America/New_York"', "A note for Asha"
    kept["starts_at"] = 'value="2026-11-03T10:00:00Z" checked'
    for other, markup in kept.items():
        assert other == field or markup in answer.text
    assert not Booking.select().exists()


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Dée 🌿 Стоун", "dee+therapy@clients.example"),
        ("دي ستون", '"dee stone"@clients.example'),
        ("Dee <script>alert(1)</script>", "dee@bücher.example"),
        ("{{ 7 * 7 }} ${7*7}", "düsen@clients.example"),
    ],
)
def test_unusual_but_right_names_and_addresses_are_taken_as_they_are(
    cast: Cast, visitor: Visitor, name: str, email: str
) -> None:
    assert visitor.post(ASHA, data=filled(visitor, name=name, email=email)).status_code == 303
    assert Booking.get().client_name == name
    assert "<script>" not in visitor.get(f"{ASHA}/requested").text


def test_the_form_asks_for_each_thing_once(cast: Cast, visitor: Visitor) -> None:
    ids = re.findall(r' id="([^"]+)"', visitor.get(ASHA).text)
    assert {"name", "given_name", "email", "timezone", "note"} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("typed", "called"), [("", "Dee"), ("Dr Stone", "Dr Stone")])
def test_a_given_name_is_optional_and_derived_where_it_is_left_empty(
    cast: Cast, visitor: Visitor, typed: str, called: str
) -> None:
    data = filled(visitor, name="Stone, Dr. Dee", given_name=typed)
    assert visitor.post(ASHA, data=data).status_code == 303
    assert Booking.get().client_given_name == called


def test_a_time_that_has_just_gone_is_said_so_and_nothing_typed_is_lost(
    cast: Cast, visitor: Visitor
) -> None:
    data = filled(visitor)
    ask()
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 409
    assert "That time has just gone" in text(answer)
    assert "A note for Asha" in answer.text
    assert 'value="2026-11-03T10:00:00Z"' not in answer.text
    assert 'value="2026-11-03T11:00:00Z"' in answer.text


def test_a_second_free_consultation_is_refused_and_paying_is_theirs_to_choose(
    cast: Cast, visitor: Visitor
) -> None:
    ask(email="dee@clients.example", kind=Kind.FREE_CONSULTATION)
    data = filled(visitor, kind="free_consultation", starts_at="2026-11-03T12:00:00Z")
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 409
    assert "free consultation is used up" in text(answer)
    assert "£" not in button(answer)
    assert "disabled" in re.search(r'<input [^>]*id="kind-free"[^>]*>', answer.text)[0]
    sent = forms(answer)[0].fields
    assert "kind" not in sent
    assert sent["starts_at"] == "2026-11-03T12:00:00Z"
    assert visitor.post(ASHA, data=sent).status_code == 422
    assert visitor.post(ASHA, data={**sent, "kind": "paid"}).status_code == 303
    assert Booking.select().where(Booking.kind == Kind.PAID).get().fee_minor == 6000


def test_a_time_too_short_for_a_paid_session_is_said_so_and_not_kept(
    cast: Cast, visitor: Visitor
) -> None:
    ask(email="dee@clients.example", kind=Kind.FREE_CONSULTATION)
    data = filled(visitor, kind="free_consultation", starts_at="2026-11-03T16:30:00Z")
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 409
    assert "not open for 50 minutes" in text(answer)
    assert "starts_at" not in forms(answer)[0].fields


@pytest.mark.parametrize(
    ("query", "price"),
    [("", "£60.00"), ("?kind=free_consultation", "free"), ("?kind=paid", "£60.00")],
)
def test_the_button_carries_the_price_of_what_is_chosen(
    cast: Cast, visitor: Visitor, query: str, price: str
) -> None:
    assert button(visitor.get(ASHA + query)) == f"Ask Asha for this time, {price}"


def test_a_therapist_who_paused_meanwhile_is_said_so_and_what_was_typed_handed_back(
    cast: Cast, visitor: Visitor
) -> None:
    data = filled(visitor)
    accounts.pause("asha", on=True)
    for sent in (data, {**data, "show": "2026-11-12"}):
        answer = visitor.post(ASHA, data=sent)
        assert "Asha is not taking bookings" in text(answer)
        for typed in ("name", "email", "timezone", "note"):
            assert data[typed] in text(answer)
    assert "What you typed" not in text(visitor.get(ASHA))


def test_a_free_consultation_of_one_who_gives_none_is_refused_by_name(
    cast: Cast, visitor: Visitor
) -> None:
    queries.therapist_by_slug("asha").update(offers_free_consultation=False).execute()
    answer = visitor.post(ASHA, data=filled(visitor, kind="free_consultation"))
    assert answer.status_code == 422
    assert "offers no free consultation" in text(answer)


def test_a_form_without_its_token_asks_for_nothing_and_keeps_what_was_typed(
    cast: Cast, visitor: Visitor
) -> None:
    for forged in ("", "forged"):
        answer = visitor.post(ASHA, data=filled(visitor, csrf_token=forged))
        assert answer.status_code == 400
        assert "A note for Asha" in answer.text
    assert not Booking.select().exists()
    again = {**filled(visitor), "csrf_token": token(answer)}
    assert visitor.post(ASHA, data=again).status_code == 303


def test_another_browsers_token_does_not_open_this_one(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    stolen = filled(another_visitor(app))["csrf_token"]
    visitor.get(ASHA)
    assert visitor.post(ASHA, data={**filled(visitor), "csrf_token": stolen}).status_code == 400


@pytest.mark.parametrize("path", ["/therapists/%00", "/?name=%00", "/?name=%FE%FF", "/?%00=1"])
def test_bytes_that_are_no_text_are_refused(cast: Cast, visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 400


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"name=D\xe9e"),
        ("application/x-www-form-urlencoded", b"name=D%E9e"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nD\xe9e\r\n--x--\r\n',
        ),
    ],
)
def test_a_form_in_another_encoding_is_refused_whole(
    cast: Cast, visitor: Visitor, content_type: str, body: bytes
) -> None:
    answer = visitor.post(ASHA, data=body, content_type=content_type)
    assert answer.status_code == 400
    assert "We could not read that" in answer.text


def test_ten_megabytes_are_too_much(cast: Cast, visitor: Visitor) -> None:
    answer = visitor.post(ASHA, data={"note": "x" * 10_000_000})
    assert answer.status_code == 413
    assert "larger than we accept" in answer.text

"""Find a Therapist and asking for a session there, as a visitor without scripts sees it."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Kind, Status, Via
from app.services import accounts, bookings
from app.store import queries
from app.store.models import Booking, Client, TimeOff, Writing
from tests.conftest import MONDAY, Cast, therapist
from tests.web.conftest import Visitor, another_visitor, counted_queries

TUESDAY_10 = MONDAY + timedelta(days=1, hours=1)
ASHA = "/therapists/asha"
MOST_QUERIES = 5


def text(response: Any) -> str:
    """What a reader sees, without tags and with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def token(response: Any) -> str:
    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', response.text)[1]


def filled(visitor: Visitor, path: str = ASHA, **changed: str) -> dict[str, str]:
    return {
        "csrf_token": token(visitor.get(path)),
        "starts_at": "2026-11-03T10:00:00Z",
        "kind": "paid",
        "name": "Dee Stone",
        "email": "dee@clients.example",
        "timezone": "America/New_York",
        "note": "A note for Asha",
        **changed,
    }


def ask(slug: str = "asha", email: str = "eli@clients.example", **more: Any) -> Booking:
    asked = {
        "name": "Eli Marsh",
        "timezone": "Europe/London",
        "starts_at": TUESDAY_10,
        "kind": Kind.PAID,
        **more,
    }
    request = bookings.Request(therapist=slug, email=email, **asked)
    return bookings.request(request, via=Via.PAGE, now=clock.now())


def names(response: Any) -> list[str]:
    return re.findall(r'id="card-([^"]+)"', response.text)


def test_everyone_who_is_listed_has_a_card_with_their_next_open_times(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get("/?tz=Europe/London")
    assert page.status_code == 200
    assert sorted(names(page)) == ["asha", "bran", "chi"]
    assert "£60.00" in text(page)
    # Asha's Monday begins at nine; four hours' notice leave one o'clock as the first start.
    assert "/therapists/asha?at=2026-11-02T13:00:00Z&amp;tz=Europe/London#request" in page.text


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("name=ash", ["asha"]),
        ("name=ASHA", ["asha"]),
        ("name=%25", []),
        ("specialism=sleep", ["chi"]),
        ("free=on", ["asha", "bran"]),
        ("day=2026-11-04", ["asha", "bran", "chi"]),
        ("day=2026-11-05&tz=Europe/London", ["bran", "chi"]),
        ("day=2026-11-05&free=on", ["bran"]),
        ("name=nobody", []),
    ],
)
def test_a_filter_leaves_only_those_who_fit(
    app: Flask, at: Any, visitor: Visitor, query: str, left: list[str]
) -> None:
    at(MONDAY)
    asha = therapist("Asha Rao", "Europe/London")
    therapist("Bran Cole", "America/New_York")
    therapist(
        "Chi Nakamura",
        "Australia/Lord_Howe",
        specialisms="Sleep, Stress",
        offers_free_consultation=False,
    )
    TimeOff.create(
        therapist=asha,
        starts_at=MONDAY + timedelta(days=2, hours=14),
        ends_at=MONDAY + timedelta(days=4),
    )
    assert sorted(names(visitor.get(f"/?{query}"))) == left


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("day=2029-01-01", "Please choose a day from today"),
        ("day=31.12.2026", "Please give a day such as"),
        ("tz=Mars/Olympus", "Please give a time zone such as Europe/London."),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name_and_kept(
    cast: Cast, visitor: Visitor, query: str, said: str
) -> None:
    page = visitor.get(f"/?{query}")
    assert page.status_code == 200
    assert said in text(page)
    assert f'value="{query.partition("=")[2]}"' in page.text


def test_nobody_who_fits_is_an_answer_of_its_own(cast: Cast, visitor: Visitor) -> None:
    assert "Nobody fits all of that" in text(visitor.get("/?name=zzz"))


def test_an_empty_house_says_so(app: Flask, visitor: Visitor) -> None:
    assert "Nobody is taking bookings just now" in text(visitor.get("/"))


def test_twenty_cards_to_a_page_and_every_therapist_on_exactly_one(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    for letter in "abcdefghijklmnopqrstuvw":
        therapist(f"{letter}{letter} Marsh", "Europe/London")
    first, second = names(visitor.get("/")), names(visitor.get("/?page=2"))
    assert len(first) == 20
    assert len(second) == 3
    assert len({*first, *second}) == 23
    assert "There is no page 3" in text(visitor.get("/?page=3"))


@pytest.mark.parametrize(
    "path", ["/", "/?day=2026-11-04&free=on", ASHA, "/therapists/bran?tz=Asia/Tokyo"]
)
def test_a_page_needs_few_queries_and_no_more_as_the_house_fills(
    cast: Cast, visitor: Visitor, path: str
) -> None:
    with counted_queries() as before:
        visitor.get(path)
    for hour in range(5):
        ask(email=f"c{hour}@clients.example", starts_at=TUESDAY_10 + timedelta(hours=hour))
        therapist(f"d{hour} Marsh", "Europe/Paris")
    with counted_queries() as after:
        visitor.get(path)
    assert len(after) == len(before) <= MOST_QUERIES


def test_a_paused_therapists_page_needs_few_queries(cast: Cast, visitor: Visitor) -> None:
    accounts.pause("asha", on=True)
    with counted_queries() as seen:
        visitor.get(ASHA)
    assert len(seen) <= MOST_QUERIES


def test_the_longest_pages_stay_under_forty_kilobytes(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    for number in range(20):
        therapist(
            f"n{number} Featherstonehaugh-Marjoribanks",
            "America/New_York",
            headline="Talking it through, at your own pace, in plain words",
            specialisms="Anxiety, Depression, Trauma, Relationships",
        )
    for path in ("/?tz=America/New_York", "/therapists/n1?tz=America/New_York"):
        assert len(visitor.get(path).data) < 40 * 1024


def test_a_hidden_therapist_is_not_listed_but_can_be_asked_by_whoever_has_the_link(
    cast: Cast, visitor: Visitor
) -> None:
    accounts.hide("asha", on=True)
    assert "asha" not in names(visitor.get("/"))
    assert visitor.get(ASHA).headers["X-Robots-Tag"] == "noindex"
    assert visitor.post(ASHA, data=filled(visitor)).status_code == 303


def test_a_paused_therapists_page_says_so_and_offers_others(cast: Cast, visitor: Visitor) -> None:
    accounts.pause("asha", on=True)
    page = visitor.get(ASHA)
    assert page.status_code == 200
    assert "Asha is not taking bookings at the moment" in text(page)
    assert sorted(names(page)) == ["bran", "chi"]
    assert "starts_at" not in page.text


def test_open_times_are_shown_in_the_visitors_zone_which_is_named(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(f"{ASHA}?tz=Asia/Tokyo&from=2026-11-03")
    assert "Times in Tokyo, UTC+9" in text(page).replace("JST", "UTC+9")
    assert re.search(r'value="2026-11-03T10:00:00Z">19:00', page.text)


def test_while_only_one_zone_has_changed_clocks_each_sees_their_own(
    cast: Cast, at: Any, visitor: Visitor
) -> None:
    at(MONDAY - timedelta(days=10))
    page = visitor.get(f"{ASHA}?tz=America/New_York&from=2026-10-28")
    # London went back on 25 October, New York does on 1 November: four hours apart in between.
    assert re.search(r'value="2026-10-28T10:00:00Z">06:00', page.text)
    assert re.search(r'value="2026-11-02T10:00:00Z">05:00', page.text)
    assert "Clocks change in these days" in text(page)


def test_a_time_that_clocks_show_twice_is_told_apart(cast: Cast, at: Any, visitor: Visitor) -> None:
    at(MONDAY - timedelta(days=10))
    # Nine to five on Lord Howe reaches into the repeated hour of a Lisbon night.
    page = visitor.get("/therapists/chi?tz=Europe/Lisbon&from=2026-10-25")
    labels = re.findall(r'value="2026-10-25T0[01]:30:00Z">([^<]+)', page.text)
    assert labels == ["01:30 WEST", "01:30 WET"]


def test_the_week_can_be_turned_and_ends_where_bookings_end(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(ASHA)
    assert "Later days" in text(page)
    assert "Earlier days" not in text(page)
    last = visitor.get(f"{ASHA}?from=2029-01-01")
    assert "Later days" not in text(last)
    assert "Earlier days" in text(last)


def test_a_chosen_time_from_a_card_is_chosen_on_the_page(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(f"{ASHA}?at=2026-11-10T10:00:00Z")
    assert 'value="2026-11-10T10:00:00Z" checked' in page.text


def test_asking_holds_the_time_and_says_what_happens_next(cast: Cast, visitor: Visitor) -> None:
    answer = visitor.post(ASHA, data=filled(visitor))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{ASHA}/requested")
    booking = Booking.get()
    assert (booking.status, booking.starts_at) == (Status.REQUESTED, TUESDAY_10)
    assert Writing.get().body == "A note for Asha"
    receipt = text(visitor.get(f"{ASHA}/requested"))
    assert booking.reference in receipt
    assert "Tue 3 Nov 2026, 05:00–05:50 (New York, EST)" in receipt


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
        ("kind", "", "Please choose what kind of session"),
        ("name", "  ", "Please give a name."),
        ("name", "D" * 121, "120 characters or fewer"),
        ("name", "Dee\r\nBcc: x@y.example", "Please leave control characters"),
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
    assert Client.get().name == name
    assert "<script>" not in visitor.get(f"{ASHA}/requested").text


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


def test_a_second_free_consultation_is_refused_and_a_paid_session_proposed(
    cast: Cast, visitor: Visitor
) -> None:
    ask(email="dee@clients.example", kind=Kind.FREE_CONSULTATION)
    data = filled(visitor, kind="free_consultation", starts_at="2026-11-03T12:00:00Z")
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 409
    assert "The free consultation has been used" in text(answer)
    assert re.search(r'id="kind-paid" value="paid" checked', answer.text)
    assert 'value="2026-11-03T12:00:00Z" checked' in answer.text


def test_a_therapist_who_paused_meanwhile_is_said_so_and_the_note_handed_back(
    cast: Cast, visitor: Visitor
) -> None:
    data = filled(visitor)
    accounts.pause("asha", on=True)
    answer = visitor.post(ASHA, data=data)
    assert answer.status_code == 409
    assert "Asha is not taking bookings" in text(answer)
    assert "A note for Asha" in text(answer)


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


def test_nothing_open_for_weeks_is_said_and_no_form_is_shown(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    accounts.add_therapist(
        accounts.NewTherapist(
            slug="fay",
            name="Fay Long",
            email="fay@therapists.example",
            timezone="Europe/London",
            rate_minor=5000,
            windows=(),
        ),
        clock.now(),
    )
    page = text(visitor.get("/therapists/fay"))
    assert "Nothing open in the next 60 days" in page
    assert "Your name" not in page


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
    assert "larger than we take" in answer.text

"""My Sessions: what each filter shows, page by page and as a spreadsheet, and who sees it."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor, Kind, Via
from app.services import clients
from app.services.bookings import cancel
from app.store.models import Client
from app.web.dashboard import csv_export
from tests.harness.every import for_every
from tests.harness.page_stories import sign_in
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import DEE, ELI, Story
from tests.web.conftest import Visitor, counted_queries

FREE = Kind.FREE_CONSULTATION


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


@pytest.fixture
def told(story: Story) -> dict[str, str]:
    """References of Asha's bookings, one for every end that a booking can have."""
    first = story.now.replace(hour=10) + timedelta(days=2)
    bookings = {
        name: story.ask(
            starts_at=first + timedelta(hours=hours),
            client=client,
            kind=FREE if free else Kind.PAID,
        )
        for name, hours, client, free in [
            ("over", 0, DEE, False),
            ("missed", 1, DEE, False),
            ("free", 2, ELI, True),
            ("declined", 3, DEE, False),
            ("ahead", 24, DEE, False),
            ("called off", 25, DEE, False),
            ("dropped", 26, DEE, False),
        ]
    }
    for name, booking in bookings.items():
        if name == "declined":
            story.decline(booking)
        else:
            story.accept(booking)
    story.cancel(bookings["called off"], Actor.CLIENT)
    story.cancel(bookings["dropped"], Actor.THERAPIST)
    story.at(bookings["missed"].ends_at)
    cancel.mark_no_show(bookings["missed"], via=Via.DASHBOARD, now=story.now)
    story.at(bookings["free"].completes_at)
    bookings["asked"] = story.ask(starts_at=first + timedelta(hours=48))
    return {name: booking.reference for name, booking in bookings.items()}


SHOWS = {
    "": {"over", "missed", "free", "declined", "ahead", "called off", "dropped", "asked"},
    "upcoming": {"ahead"},
    "past": {"over", "missed", "free"},
    "completed": {"over", "free"},
    "cancelled": {"called off", "dropped"},
    "enquiries": {"declined", "asked"},
}


def references(text: str, told: dict[str, str]) -> set[str]:
    return {name for name, reference in told.items() if reference in text}


@pytest.mark.both_databases
@for_every(SHOWS)
def test_a_filter_shows_what_it_says_by_the_clock_and_the_spreadsheet_agrees(
    show: str, told: dict[str, str], asha: Visitor
) -> None:
    for kind, also in (("", set(told)), ("paid", set(told) - {"free"}), (str(FREE), {"free"})):
        asked = f"?show={show}&kind={kind}"
        assert references(asha.get(f"/dashboard/sessions{asked}").text, told) == SHOWS[show] & also
        sheet = asha.get(f"/dashboard/sessions.csv{asked}").text
        assert references(sheet, told) == SHOWS[show] & also


def test_nonsense_in_the_address_shows_all(told: dict[str, str], asha: Visitor) -> None:
    page = asha.get("/dashboard/sessions?show=x&kind=%22&page=minus")
    assert references(page.text, told) == set(told)


def test_every_row_names_client_time_and_zone_and_leads_to_its_page(
    told: dict[str, str], asha: Visitor
) -> None:
    page = asha.get("/dashboard/sessions?show=upcoming").text
    assert "Dee Stone" in page
    assert "Thu 5 Nov 2026, 10:00–10:50 (London, GMT)" in page
    assert f"/dashboard/sessions/{told['ahead']}" in page
    assert "dee@clients.example" not in page


def sheet_of(asha: Visitor, path: str = "/dashboard/sessions.csv") -> list[dict[str, str]]:
    answer = asha.get(path)
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_the_spreadsheet_carries_local_times_and_plain_amounts(
    told: dict[str, str], asha: Visitor
) -> None:
    [row] = [row for row in sheet_of(asha) if row["reference"] == told["over"]]
    assert row == {
        "reference": told["over"],
        "status": "completed",
        "kind": "paid",
        "client": "Dee Stone",
        "starts_at": "2026-11-04 10:00",
        "ends_at": "2026-11-04 10:50",
        "time_zone": "Europe/London",
        "fee": "60.00",
        "currency": "GBP",
        "requested_at": "2026-11-02 09:00",
    }


@pytest.mark.parametrize(
    "name", ["=1+1", "+44 Dee", "-Dee", "@Dee", "＝1+1", '=HYPERLINK("http://x.example","Dee")']
)
def test_no_cell_of_a_spreadsheet_is_ever_a_formula(name: str, story: Story, asha: Visitor) -> None:
    story.ask(client=(name, "dee@clients.example", "Europe/London"))
    [row] = sheet_of(asha)
    assert row["client"] == f"'{name}"
    assert not [cell for cell in row.values() if cell[:1] in "=+-@＝"]


HIDDEN = [
    "\u200b",
    "\ufeff",
    "\u00a0",
    "\u3164",
    "\u2800",
    "\ufe0f",
    "\u00ad\u2060",
    "\x00 ",
]


@for_every([(start, sign) for start in HIDDEN for sign in "=+-@＝﹦⁼"])
def test_a_cell_that_hides_its_first_sign_is_no_formula(start: str, sign: str) -> None:
    assert csv_export.text(f"{start}{sign}1+1") == f"'{start}{sign}1+1"


@pytest.mark.parametrize("name", ["Dee", "\u200bDee", "", "\u00a0", "Ås=a", "李=1", "Ⅳ-1"])
def test_a_cell_that_begins_with_a_letter_stays_as_it_is(name: str) -> None:
    assert csv_export.text(name) == name


def test_an_erased_client_is_shown_as_erased(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    story.decline(booking)
    clients.erase("dee@clients.example", clock.now())
    page = asha.get("/dashboard/sessions").text
    assert "Erased" in page
    assert not has_word("Dee", page)
    assert sheet_of(asha)[0]["client"] == "Erased"


def test_another_therapists_sessions_are_never_listed(
    told: dict[str, str], app: Flask, mail: MailServer, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "bran@therapists.example")
    for path in ("/dashboard/sessions", "/dashboard/sessions.csv", "/dashboard/earnings.csv"):
        assert references(visitor.get(path).text, told) == set()
    assert "Nothing here yet" in visitor.get("/dashboard/sessions").text


def test_a_signed_out_visitor_must_sign_in_and_goes_on_from_there(
    cast: Cast, visitor: Visitor
) -> None:
    for path in ("sessions", "sessions.csv", "profile", "ranking", "earnings", "earnings.csv"):
        answer = visitor.get(f"/dashboard/{path}")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in?next=")


@pytest.mark.both_databases
def test_an_empty_filter_offers_the_way_back(story: Story, asha: Visitor) -> None:
    assert (
        "no free upcoming sessions"
        in asha.get("/dashboard/sessions?show=upcoming&kind=free_consultation").text
    )


def test_my_sessions_needs_no_more_queries_as_bookings_grow(
    story: Story, asha: Visitor, at: Any
) -> None:
    story.ask()
    with counted_queries() as few:
        asha.get("/dashboard/sessions")
    for number in range(30):
        day, hour = divmod(number, 7)
        start = story.now.replace(hour=9) + timedelta(days=3 + day, hours=hour)
        client = (f"Client {number}", f"c{number}@clients.example", "Europe/London")
        story.accept(story.ask(starts_at=start, client=client))
    with counted_queries() as many:
        page = asha.get("/dashboard/sessions")
    assert len(many) == len(few) <= 5
    assert len(page.data) < 40_000
    assert "Page 1 of 2" in page.text
    assert asha.get("/dashboard/sessions?page=2").text.count('class="line"') == 6
    assert asha.get("/dashboard/sessions?page=99").text.count('class="line"') == 6
    assert len(sheet_of(asha)) == Client.select().count() == 31

"""My Sessions: what each filter shows, page by page and as a spreadsheet, and who sees it."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor, Kind, Via
from app.services.bookings import cancel
from app.services.clients.erase import erase_client
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


def test_every_row_names_client_and_time_and_leads_to_its_page_below_the_zone(
    told: dict[str, str], asha: Visitor
) -> None:
    page = asha.get("/dashboard/sessions?show=upcoming").text
    assert "Dee Stone" in page
    assert "Thu 5 Nov 2026, 10:00–10:50<" in page
    assert page.count("London, GMT") == 1
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


@for_every([("Dee;=1+1", "Dee;'=1+1"), (";+1; -1;", ";'+1;' -1;"), ("Dee; Eli", "Dee; Eli")])
def test_a_cell_is_no_formula_where_semicolons_separate_cells(name: str, cell: str) -> None:
    assert csv_export.text(name) == cell


@pytest.mark.parametrize("name", ["Dee", "\u200bDee", "", "\u00a0", "Ås=a", "李=1", "Ⅳ-1"])
def test_a_cell_that_begins_with_a_letter_stays_as_it_is(name: str) -> None:
    assert csv_export.text(name) == name


def test_an_erased_client_is_shown_as_erased(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    story.decline(booking)
    erase_client("dee@clients.example", clock.now())
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


def found(asha: Visitor, told: dict[str, str], **parameters: str) -> set[str]:
    """What a search shows; its spreadsheet has the same."""
    query = urlencode({"from" if name == "since" else name: t for name, t in parameters.items()})
    page = asha.get(f"/dashboard/sessions?{query}")
    assert page.status_code == 200
    assert references(asha.get(f"/dashboard/sessions.csv?{query}").text, told) == references(
        page.text, told
    )
    for name, text in parameters.items():
        assert name in ("show", "kind") or f'value="{escape(text)}"' in page.text
    return references(page.text, told)


@pytest.mark.both_databases
def test_a_search_finds_by_client_reference_and_days(told: dict[str, str], asha: Visitor) -> None:
    dees = set(told) - {"free"}
    cases: list[tuple[dict[str, str], set[str]]] = [
        ({"q": "dee"}, dees),
        ({"q": "STONE dee"}, dees),
        ({"q": " d\u00e9e "}, dees),
        ({"q": "nobody"}, set()),
        ({"q": told["over"].lower()}, {"over"}),
        ({"q": f"dee {told['over']}"}, {"over"}),
        ({"q": "%"}, set()),
        ({"since": "2026-11-05"}, {"ahead", "called off", "dropped", "asked"}),
        ({"to": "2026-11-04"}, {"over", "missed", "free", "declined"}),
        ({"since": "2026-11-05", "to": "2026-11-05"}, {"ahead", "called off", "dropped"}),
        ({"q": "dee", "to": "2026-11-04", "show": "past"}, {"over", "missed"}),
        ({"q": "dee", "kind": str(FREE)}, set()),
    ]
    for parameters, expected in cases:
        assert (parameters, found(asha, told, **parameters)) == (parameters, expected)


def test_the_days_of_a_search_are_the_therapists_own(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "chi@therapists.example")
    # 09:00 on the 5th on Lord Howe is still the 4th in UTC.
    booking = story.ask("chi", starts_at=datetime(2026, 11, 4, 22, tzinfo=UTC))
    told = {"it": booking.reference}
    assert found(visitor, told, since="2026-11-05", to="2026-11-05") == {"it"}
    assert found(visitor, told, to="2026-11-04") == set()


@pytest.mark.parametrize(
    ("query", "name", "typed", "said"),
    [
        ("from=soon", "from", "soon", "Please give a date from 2000-01-01"),
        ("to=2026-13-01", "to", "2026-13-01", "Please give a date from 2000-01-01"),
        ("from=2026-11-05&to=2026-11-04", "to", "2026-11-04", "not before the first one"),
        (f"q={'x' * 121}", "q", "x" * 121, "120 characters or fewer"),
    ],
)
def test_a_search_that_cannot_be_is_refused_by_name_and_kept(
    query: str, name: str, typed: str, said: str, told: dict[str, str], asha: Visitor
) -> None:
    for path in ("sessions", "sessions.csv"):
        page = asha.get(f"/dashboard/{path}?{query}")
        assert page.status_code == 422
        assert said in page.text
        assert f'name="{name}" type="text" value="{typed}"' in page.text
        assert references(page.text, told) == set()


def test_the_tabs_and_pages_of_a_search_keep_it(story: Story, asha: Visitor) -> None:
    for number in range(26):
        day, hour = divmod(number, 7)
        start = story.now.replace(hour=9) + timedelta(days=3 + day, hours=hour)
        story.ask(starts_at=start, client=("Dee Stone", "dee@clients.example", "Europe/London"))
    page = asha.get("/dashboard/sessions?q=dee&from=2026-11-01")
    links = re.findall(r'href="(/dashboard/sessions[.?][^"]*)"', page.text)
    kept = [unescape(link) for link in links if "q=dee" in link]
    assert len(kept) == 6 + 3 + 1 + 1
    assert all("from=2026-11-01" in link for link in kept)
    assert "Page 1 of 2" in page.text
    assert asha.get("/dashboard/sessions?q=dee&page=2").text.count('class="line"') == 1

"""The therapist's dashboard: what Home shows, what a session's page does, and who sees it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor, Kind, Move, Status, Via
from app.services.bookings import cancel, messages, transitions
from app.store.models import Booking, Therapist, TimelineEntry
from tests.harness.page_stories import (
    HOUR,
    TUESDAY_10,
    all_rows,
    ask,
    forms,
    link,
    now_of,
    press,
    sign_in,
)
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.scenarios import full_site
from tests.scenarios.cast import MONDAY, Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def page_of(booking: Booking) -> str:
    return f"/dashboard/sessions/{booking.reference}"


def accepted(**more: Any) -> Booking:
    booking = ask(**more)
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())
    return now_of(booking)


def test_home_lists_enquiries_with_the_time_left_and_marks_the_late_ones(
    asha: Visitor, at: Any
) -> None:
    assert "Nothing to answer" in asha.get("/dashboard").text
    ask()
    at(MONDAY + 2 * HOUR)
    ask(email="eli@clients.example", name="Eli Marsh", starts_at=TUESDAY_10 + HOUR)
    at(MONDAY + 4 * HOUR)
    page = asha.get("/dashboard").text
    assert "2 enquiries" in page
    assert "Tue 3 Nov 2026, 10:00–10:50<" in page
    assert page.index("Dee asks for a session") < page.index("Eli asks for a session")
    assert page.count("tag-late") == 1
    assert "1 hour late" in page
    assert "1 hour left" in page
    assert page.count("<progress") == 2
    assert "I sleep badly" not in page


def test_upcoming_sessions_are_cards_until_they_have_ended(asha: Visitor, at: Any) -> None:
    booking = accepted()
    page = asha.get("/dashboard?tab=upcoming").text
    assert page.count("panel-green") == 1
    assert "View Details" in page
    assert f"{page_of(booking)}/cancel" in page
    at(booking.starts_at)
    page = asha.get("/dashboard?tab=upcoming").text
    assert "in progress" in page
    assert f"{page_of(booking)}/cancel" not in page
    at(booking.ends_at)
    assert "No upcoming sessions" in asha.get("/dashboard?tab=upcoming").text


def test_home_needs_no_more_queries_as_bookings_grow(asha: Visitor) -> None:
    for hours in range(14):
        day, hour = divmod(hours, 6)
        accepted(
            email=f"c{hours}@clients.example",
            starts_at=TUESDAY_10 + timedelta(days=day, hours=hour),
        )
        ask(
            email=f"e{hours}@clients.example",
            starts_at=TUESDAY_10 + timedelta(days=5 + day, hours=hour),
        )
    for path in ("/dashboard", "/dashboard?tab=upcoming", "/dashboard?tab=upcoming&page=2"):
        with counted_queries() as seen:
            page = asha.get(path)
        assert len(seen) <= 7
        assert len(page.data) < 40_000
        assert "of 2" in page.text
    assert asha.get("/dashboard?page=2").text.count("<progress") == 2
    assert asha.get("/dashboard?page=99").text.count("<progress") == 2
    assert asha.get("/dashboard?page=-1").status_code == 200
    assert asha.get("/dashboard?page=x").status_code == 200


def test_a_sessions_page_shows_the_note_both_times_and_the_timeline(asha: Visitor) -> None:
    booking = ask(note="Two lines\n<script>alert(1)</script>")
    page = asha.get(page_of(booking)).text
    assert "Two lines\n&lt;script&gt;" in page
    assert "Dee Stone" in page
    assert "Tue 3 Nov 2026, 05:00 (New York, EST)" in page
    assert "£54.00" in page
    assert "Dee asked for this time." in page
    assert "dee@clients.example" not in page


@pytest.mark.parametrize(
    ("action", "status", "said"),
    [("/accept", Status.ACCEPTED, "You accepted."), ("/decline", Status.DECLINED, "Not then.")],
)
def test_an_enquiry_is_answered_on_its_page_and_again_changes_nothing(
    action: str, status: Status, said: str, asha: Visitor
) -> None:
    booking = ask()
    [form] = [f for f in forms(asha.get(page_of(booking))) if f.action.endswith(action)]
    typed = {**form.fields, **({"reason": "Not then."} if "reason" in form.fields else {})}
    done = asha.post(form.action, data=typed, follow_redirects=True)
    assert (done.status_code, said in done.text) == (200, True)
    assert now_of(booking).status is status
    line = TimelineEntry.get(booking=booking, event=str(status))
    assert (line.by, line.via) == (Actor.THERAPIST, Via.DASHBOARD)
    rows = all_rows()
    assert asha.post(form.action, data=typed, follow_redirects=True).status_code == 200
    assert all_rows() == rows


def test_an_answer_that_came_too_late_shows_what_has_happened(asha: Visitor, at: Any) -> None:
    booking = ask()
    [form] = [f for f in forms(asha.get(page_of(booking))) if f.action.endswith("/accept")]
    transitions.make_move(booking, Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=clock.now())
    overtaken = asha.post(form.action, data=form.fields)
    assert overtaken.status_code == 409
    assert "Dee withdrew the enquiry" in overtaken.text
    other = ask(email="eli@clients.example")
    at(other.expires_at)
    path = f"{page_of(other)}/accept"
    assert asha.post(path, data=form.fields).status_code == 410


def test_a_reason_that_is_too_long_is_kept_on_the_page(asha: Visitor) -> None:
    booking = ask()
    refused = press(asha, page_of(booking), "/decline", reason="so sorry " * 500)
    assert refused.status_code == 422
    kept = next(f for f in forms(refused) if f.action.endswith("/decline")).fields["reason"]
    assert kept.split() == ["so", "sorry"] * 500
    assert now_of(booking).status is Status.REQUESTED


@pytest.mark.parametrize(
    ("streak", "said"),
    [
        (0, "first cancelled session in a row"),
        (1, "2 cancelled sessions in a row"),
        (2, "One more and your account is flagged"),
        (3, "your account is flagged"),
        (4, "your account is deactivated"),
    ],
)
def test_cancelling_says_first_what_it_does_to_the_streak(
    streak: int, said: str, asha: Visitor, cast: Cast
) -> None:
    booking = accepted()
    Therapist.update(streak=streak).where(Therapist.id == cast.asha.id).execute()
    path = f"{page_of(booking)}/cancel"
    rows = all_rows()
    shown = asha.get(path).text
    assert said in shown
    assert "Nothing is charged" in shown
    assert all_rows() == rows
    asha.post(path, data=cancel_form(asha, booking))
    assert now_of(booking).status is Status.CANCELLED_BY_THERAPIST
    assert Therapist.get(slug="asha").streak == streak + 1


def cancel_form(asha: Visitor, booking: Booking) -> dict[str, str]:
    return forms(asha.get(f"{page_of(booking)}/cancel"))[-1].fields


def test_a_cancellation_that_would_cost_more_than_was_shown_asks_again(asha: Visitor) -> None:
    one, two = accepted(), accepted(email="eli@clients.example", starts_at=TUESDAY_10 + HOUR)
    shown = cancel_form(asha, two)
    first = asha.post(f"{page_of(one)}/cancel", data=cancel_form(asha, one), follow_redirects=True)
    assert "You cancelled this session" in first.text
    again = asha.post(f"{page_of(two)}/cancel", data=shown)
    assert again.status_code == 409
    assert "2 cancelled sessions in a row" in again.text
    assert now_of(two).status is Status.ACCEPTED
    asha.post(f"{page_of(two)}/cancel", data=forms(again)[-1].fields)
    assert now_of(two).status is Status.CANCELLED_BY_THERAPIST
    assert Therapist.get(slug="asha").streak == 2


def test_the_streak_that_is_shown_counts_completions_that_nobody_has_written_down(
    asha: Visitor, cast: Cast, at: Any
) -> None:
    over, ahead = accepted(), accepted(email="eli@x.example", starts_at=TUESDAY_10 + 48 * HOUR)
    Therapist.update(streak=3).where(Therapist.id == cast.asha.id).execute()
    at(over.completes_at)
    assert "first cancelled session in a row" in asha.get(f"{page_of(ahead)}/cancel").text
    asha.post(f"{page_of(ahead)}/cancel", data=cancel_form(asha, ahead))
    assert Therapist.get(slug="asha").streak == 1


def test_a_no_show_is_recorded_from_the_end_for_seven_days(
    app: Flask, mail: MailServer, asha: Visitor, at: Any
) -> None:
    booking = accepted()
    path = f"{page_of(booking)}/no-show"
    at(booking.ends_at - timedelta(seconds=1))
    assert asha.get(path).status_code == 409
    at(booking.ends_at + timedelta(minutes=10, days=7, seconds=1))
    assert asha.get(path).status_code == 409
    at(booking.ends_at)
    assert "£54.00" in asha.get(path).text
    done = asha.post(path, data=forms(asha.get(path))[-1].fields, follow_redirects=True)
    assert "Recorded that Dee did not come." in done.text
    assert now_of(booking).status is Status.NO_SHOW
    assert link(app, mail, "no_show_recorded", "Manage Booking")


PAGES = ("", "/accept", "/decline", "/cancel", "/no-show")


@pytest.mark.parametrize("page", PAGES)
def test_another_therapists_session_is_not_there(
    page: str, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    theirs, unanswered = accepted(), ask(starts_at=TUESDAY_10 + HOUR)
    sign_in(app, mail, visitor, "bran@therapists.example")
    mine = ask(therapist="bran", starts_at=TUESDAY_10 + 6 * HOUR)
    token = forms(visitor.get(page_of(mine)))[0].fields
    rows = all_rows()
    unknown = visitor.get("/dashboard/sessions/MB-222222")
    for booking in (theirs, unanswered):
        path = page_of(booking) + page
        if page in ("", "/cancel", "/no-show"):
            assert visitor.get(path).status_code == 404
            assert visitor.get(path).text == unknown.text
        if page:
            assert visitor.post(path, data=token).status_code == 404
    assert not has_word("Dee", visitor.get("/dashboard?tab=upcoming").text)
    assert all_rows() == rows


def test_a_deactivated_therapist_still_manages_what_they_accepted(
    asha: Visitor, cast: Cast
) -> None:
    booking = accepted(kind=Kind.FREE_CONSULTATION)
    Therapist.update(deactivated_at=clock.now()).where(Therapist.id == cast.asha.id).execute()
    page = asha.get("/dashboard?tab=upcoming").text
    assert "Your account is deactivated" in page
    assert booking.reference in page
    terms = cancel.terms_of_cancelling(
        Booking.get(reference=booking.reference), by=Actor.THERAPIST, now=clock.now()
    )
    assert terms is not None
    assert asha.get(f"{page_of(booking)}/cancel").status_code == 200


def test_the_menu_marks_my_sessions_while_one_of_them_is_open(asha: Visitor) -> None:
    booking = accepted()
    marked = {
        "/dashboard": ("Home", "page"),
        "/dashboard/sessions": ("My Sessions", "page"),
        page_of(booking): ("My Sessions", "true"),
        f"{page_of(booking)}/cancel": ("My Sessions", "true"),
        "/dashboard/ranking": ("Ranking", "page"),
    }
    for path, (title, current) in marked.items():
        menu = asha.get(path).text.partition("side-menu")[2].partition("</nav>")[0]
        assert menu.count("aria-current") == 1, path
        assert f'aria-current="{current}">{title}</a>' in menu, path


CRUMBS = {
    "open": "New Enquiries",
    "late": "New Enquiries",
    "accepted": "Upcoming Sessions",
    "completed": "My Sessions",
    "no_show": "My Sessions",
    "declined": "My Sessions",
    "expired": "My Sessions",
    "withdrawn": "My Sessions",
    "cancelled_by_client": "My Sessions",
    "cancelled_by_therapist": "My Sessions",
}


def test_a_sessions_page_leads_back_to_a_list_that_has_it(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    bookings = full_site.fill(story)
    sign_in(app, story.mail, visitor, "asha@therapists.example")
    for state, words in CRUMBS.items():
        page = visitor.get(page_of(bookings[state])).text
        crumb = re.search(r'<p class="small"><a href="([^"]+)">([^<]+)</a></p>', page)
        assert (state, crumb[2]) == (state, words)
        rows = [visitor.get(f"{crumb[1]}{more}").text for more in ("", "?page=2")]
        assert page_of(bookings[state]) in "".join(rows)


def test_a_session_that_has_just_ended_is_no_upcoming_one(asha: Visitor, at: Any) -> None:
    booking = accepted()
    at(booking.ends_at)
    assert ">My Sessions</a></p>" in asha.get(page_of(booking)).text


@pytest.mark.parametrize(
    ("state", "comes"),
    [("active", True), ("hidden", True), ("paused", False), ("deactivated", False)],
)
def test_home_promises_enquiries_only_where_they_can_come(
    asha: Visitor, cast: Cast, state: str, comes: bool
) -> None:
    now = clock.now()
    column = {"paused": "is_paused", "hidden": "is_hidden", "deactivated": "deactivated_at"}
    if state in column:
        value = now if state == "deactivated" else True
        Therapist.update({column[state]: value}).where(Therapist.id == cast.asha.id).execute()
    page = asha.get("/dashboard").text
    assert ("reach you by email" in page) == comes
    assert ("no new enquiries come" in page) == (not comes)
    assert ("direct link" in page) == (state == "hidden")


@pytest.mark.parametrize("tab", ["", "?tab=upcoming"])
def test_each_row_has_one_link_that_covers_all_of_it(asha: Visitor, tab: str) -> None:
    for hour in range(2):
        booking = ask(email=f"c{hour}@clients.example", starts_at=TUESDAY_10 + hour * HOUR)
        if tab:
            transitions.make_move(
                booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now()
            )
    rows = re.findall(r"<article.*?</article>", asha.get(f"/dashboard{tab}").text, re.DOTALL)
    assert len(rows) == 2
    for row in rows:
        assert "position-relative" in row.partition(">")[0]
        [covering] = re.findall(r'<a class="[^"]*stretched-link[^"]*" href="([^"]+)"', row)
        assert covering.startswith("/dashboard/sessions/MB-")
        others = re.findall(r'<a class="([^"]*)" href="[^"]+/cancel"', row)
        assert ["above-link" in each for each in others] == [True] * len(others)


def joins(page: str) -> list[bool]:
    """Whether each Join of a page is shown."""
    return ["hidden" not in tag for tag in re.findall(r"<a [^>]*data-from=[^>]*>", page)]


def test_home_shows_the_sessions_of_today_with_join_when_it_is_time(
    asha: Visitor, at: Any, app: Flask, mail: MailServer
) -> None:
    booking = accepted()
    accepted(email="eli@clients.example", starts_at=TUESDAY_10 + 24 * HOUR)
    assert "No sessions today." in asha.get("/dashboard").text
    for minutes, shown in ((-11, [False]), (-10, [True]), (0, [True]), (49, [True]), (50, [])):
        at(booking.starts_at + timedelta(minutes=minutes))
        sign_in(app, mail, asha, "asha@therapists.example")
        today = asha.get("/dashboard").text.partition('id="today"')[2].partition("</section>")[0]
        assert "10:00–10:50" in today
        assert (minutes, joins(today)) == (minutes, shown)
        page = asha.get(page_of(booking)).text
        assert (minutes, joins(page)) == (minutes, shown)
    assert 'href="https://meet.example/asha"' in page
    assert "over" in today


def test_today_is_a_day_of_the_therapists_own_zone(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    # 09:00 on Wednesday on Lord Howe.
    booking = accepted(therapist="chi", starts_at=TUESDAY_10 + 12 * HOUR)
    for when, shown in ((TUESDAY_10, False), (TUESDAY_10 + 4 * HOUR, True)):
        at(when)
        sign_in(app, mail, visitor, "chi@therapists.example")
        today = visitor.get("/dashboard").text.partition('id="today"')[2].partition("</section>")[0]
        assert (booking.reference in today) == shown


def test_messages_are_unread_until_their_page_is_opened(asha: Visitor, at: Any) -> None:
    booking = accepted()
    for text in ("One.", "Two."):
        messages.send(booking, text, author=Actor.CLIENT, now=clock.now())
    messages.send(booking, "Yes.", author=Actor.THERAPIST, now=clock.now())
    asha.head(page_of(booking))
    asha.get(page_of(booking), headers={"Sec-Purpose": "prefetch"})
    assert asha.get("/dashboard").text.count("Dee wrote to you") == 1
    page = asha.get(page_of(booking)).text
    assert re.search(r'id="messages".*?<details open>', page, re.DOTALL)
    assert "Dee wrote to you" not in asha.get("/dashboard").text
    page = asha.get(page_of(booking)).text
    assert not re.search(r'id="messages"[^<]*<details open>', page)


def test_a_session_leads_with_the_answer_and_folds_the_rest(asha: Visitor) -> None:
    page = asha.get(page_of(ask())).text
    order = [
        "3 hours left",
        ">Accept<",
        ">Decline…<",
        "<dt>Client</dt>",
        "’s note",
        "Messages with",
    ]
    places = [page.index(words) for words in order]
    assert places == sorted(places)
    assert page.count("<details open") == 0


DASHBOARD = ("", "/week", "/sessions", "/profile", "/ranking", "/earnings")


@pytest.mark.parametrize(
    ("column", "said", "way_out"),
    [
        ("is_paused", "You are temporarily deactivated.", "/dashboard/profile#visibility"),
        ("is_hidden", "Your profile is invisible.", "/dashboard/profile#visibility"),
        ("deactivated_at", "Your account is deactivated.", "mailto:ops@mindsum.invalid"),
    ],
)
def test_every_page_says_that_clients_cannot_find_the_therapist(
    column: str, said: str, way_out: str, asha: Visitor, cast: Cast
) -> None:
    pages = [f"/dashboard{page}" for page in DASHBOARD] + [page_of(accepted())]
    assert not [path for path in pages if said in asha.get(path).text]
    value = clock.now() if column == "deactivated_at" else True
    Therapist.update({column: value}).where(Therapist.id == cast.asha.id).execute()
    for path in pages:
        banner = asha.get(path).text.partition(said)[2].partition("</div>")[0]
        assert way_out in banner, path


def test_the_folded_menu_has_what_the_side_menu_has(asha: Visitor) -> None:
    page = asha.get("/dashboard").text
    folded, side = re.findall(r'<nav[^>]*aria-label="Dashboard".*?</nav>', page, re.DOTALL)
    assert re.findall(r'href="[^"]+"', folded) == re.findall(r'href="[^"]+"', side)
    assert "<summary" in page[: page.index(folded)]

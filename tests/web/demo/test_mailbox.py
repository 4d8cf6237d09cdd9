"""The demo's mailbox: what was sent can be read as its reader would, and the clock can be moved."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock, create_app
from app.config import Settings
from app.demo.maildir import serve_maildir, stored_messages
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import request, transitions
from app.services.jobs import due as sweeps
from app.services.mail.sender import OutboxSender
from app.store.db import database
from app.store.models import Booking
from app.store.queries.demo import next_due_at
from emails.samples import SAMPLES
from tests.scenarios.cast import MONDAY, TUESDAY_10, therapist
from tests.scenarios.story import total

DEE, ASHA = "dee@clients.example", "asha@therapists.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@pytest.fixture
def demo(database_url: str, folder: Path, at: Any) -> Iterator[Flask]:
    """A demo on Monday morning, with its mail server, Asha, and no process of its own."""
    at(MONDAY)
    with serve_maildir("127.0.0.1", 0, folder / "mail") as mail:
        settings = Settings(
            database_url=database_url,
            demo_dir=folder,
            mail_port=mail.port,
            public_url="http://mindsum.test",
            ratelimit_enabled=False,
        )
        built = create_app(settings)
        built.testing = True
        try:
            with database.connection():
                therapist("Asha Rao", "Europe/London")
                yield built
        finally:
            clock.follow(None)


@pytest.fixture
def visitor(demo: Flask) -> FlaskClient:
    return demo.test_client()


def ask(starts_at: datetime = TUESDAY_10) -> Booking:
    asked = request.BookingRequest(
        therapist="asha",
        name="Dee Stone",
        email=DEE,
        timezone="America/New_York",
        starts_at=starts_at,
        kind=Kind.PAID,
    )
    return request.request_booking(asked, via=Via.PAGE, now=clock.now())


def deliver(demo: Flask) -> None:
    with demo.app_context():
        run = total(OutboxSender(demo.extensions["mailer"], clock.now).deliver())
    assert run.failed == 0


def page(visitor: FlaskClient, path: str, status: int = 200) -> str:
    answer = visitor.get(path)
    assert answer.status_code == status
    return answer.text


def move(visitor: FlaskClient, step: str, **more: str) -> str:
    token = re.search(r'name="csrf_token" value="([^"]+)"', page(visitor, "/mailbox"))
    assert token
    answer = visitor.post("/mailbox/clock", data={"csrf_token": token[1], "step": step, **more})
    assert answer.status_code == 303
    return answer.headers["Location"]


def path_of(folder: Path, kind: str) -> str:
    (stored,) = (
        m for m in stored_messages(folder / "mail") if m.message["X-Mindsum-Email"] == kind
    )
    return f"/mailbox/{stored.id}"


def test_there_is_no_mailbox_outside_a_demo(app: Flask) -> None:
    for path in ("/mailbox", "/mailbox/previews"):
        assert app.test_client().get(path).status_code == 404


def test_an_empty_mailbox_says_what_to_do_first(visitor: FlaskClient) -> None:
    shown = page(visitor, "/mailbox")
    assert "No emails yet" in shown
    assert 'href="/">Find a Therapist</a>' in shown


def test_the_list_shows_who_got_what_and_one_tab_for_each_recipient(
    demo: Flask, visitor: FlaskClient
) -> None:
    ask()
    deliver(demo)
    everyone = page(visitor, "/mailbox")
    assert re.findall(r'<span class="mail-to">(.*?)</span>', everyone) == ["Dee Stone", "Asha Rao"]
    assert re.findall(r'<span class="tag">(.*?)</span>', everyone) == [
        "booking_received",
        "booking_requested",
    ]
    assert re.findall(r'>([^<>]+) <span class="count">(\d)', everyone) == [
        ("Everyone", "2"),
        ("Asha Rao", "1"),
        ("Dee Stone", "1"),
        ("Ops", "0"),
    ]
    of_asha = page(visitor, f"/mailbox?to={ASHA}")
    assert re.findall(r'<span class="mail-to">(.*?)</span>', of_asha) == ["Asha Rao"]


def test_newer_emails_come_first(demo: Flask, visitor: FlaskClient, at: Any) -> None:
    booking = ask()
    deliver(demo)
    at(MONDAY + timedelta(minutes=5))
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())
    deliver(demo)
    kinds = re.findall(r'<span class="tag">(.*?)</span>', page(visitor, f"/mailbox?to={DEE}"))
    assert kinds == ["booking_accepted", "booking_received"]


def test_the_list_refreshes_itself_until_it_is_held_still(visitor: FlaskClient) -> None:
    refresh = '<meta http-equiv="refresh"'
    assert refresh in page(visitor, "/mailbox")
    assert refresh not in page(visitor, "/mailbox?still=1")


def test_an_email_shows_its_parts(demo: Flask, visitor: FlaskClient, folder: Path) -> None:
    booking = ask()
    deliver(demo)
    path = path_of(folder, "booking_requested")
    shown = page(visitor, path)
    assert f'src="{path}/html?scheme=auto"' in shown
    # The page may read the height of the email, in which nothing runs.
    assert 'sandbox="allow-same-origin allow-popups allow-top-navigation' in shown
    assert booking.reference in shown
    assert 'href="http://mindsum.test/link/accept/' in page(visitor, f"{path}?view=text")
    assert "METHOD:REQUEST" in page(visitor, f"{path}?view=calendar")
    assert "X-Mindsum-Email: booking_requested" in page(visitor, f"{path}?view=raw")


def test_an_email_without_a_calendar_part_offers_none(
    demo: Flask, visitor: FlaskClient, folder: Path
) -> None:
    ask()
    deliver(demo)
    path = path_of(folder, "booking_received")
    assert "view=calendar" not in page(visitor, path)
    assert "X-Mindsum-Email" in page(visitor, f"{path}?view=calendar")


def test_the_html_of_an_email_runs_nothing_and_its_links_leave_the_frame(
    demo: Flask, visitor: FlaskClient, folder: Path
) -> None:
    ask()
    deliver(demo)
    answer = visitor.get(f"{path_of(folder, 'booking_requested')}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    anchors = re.findall(r"<a\b[^>]*>", answer.text)
    assert sum("/link/accept/" in anchor for anchor in anchors) == 1
    assert all(anchor.startswith('<a target="_top"') for anchor in anchors)


def test_pages_of_the_mailbox_may_frame_nothing_but_ourselves(visitor: FlaskClient) -> None:
    policy = visitor.get("/mailbox").headers["Content-Security-Policy"]
    assert policy.endswith("; frame-src 'self'")
    assert "style-src 'self'" in policy


@pytest.mark.parametrize("path", ["nothing", "nothing/html", "previews/nothing", "previews/x/html"])
def test_what_is_not_there_is_not_found(visitor: FlaskClient, path: str) -> None:
    page(visitor, f"/mailbox/{path}", status=404)


@pytest.mark.parametrize(
    ("scheme", "rules", "colours"),
    [
        ("auto", "@media (prefers-color-scheme: dark)", "light dark"),
        ("dark", "@media all", "dark"),
        ("light", "@media not all", "light"),
    ],
)
def test_a_preview_is_shown_in_the_scheme_that_was_asked_for(
    visitor: FlaskClient, scheme: str, rules: str, colours: str
) -> None:
    html = page(visitor, f"/mailbox/previews/booking_requested/html?scheme={scheme}")
    assert html.count(rules) == 1
    assert f'name="color-scheme" content="{colours}"' in html
    assert ("prefers-color-scheme" in html) == (scheme == "auto")


def test_every_kind_has_a_preview(visitor: FlaskClient) -> None:
    listed = page(visitor, "/mailbox/previews")
    for name, sample in SAMPLES.items():
        assert f'href="/mailbox/previews/{name}"' in listed
        shown = page(visitor, f"/mailbox/previews/{name}")
        assert shown.count("<iframe") == 4
        assert ("BEGIN:VCALENDAR" in shown) == (sample().calendar is not None)


def test_a_moved_clock_is_the_whole_demos_clock(visitor: FlaskClient, folder: Path) -> None:
    for step, moved in (
        ("1h", timedelta(hours=1)),
        ("3h", timedelta(hours=4)),
        ("1d", timedelta(days=1, hours=4)),
    ):
        assert move(visitor, step) == "/mailbox"
        assert clock.now() == MONDAY + moved
    assert (folder / "clock").read_text() == "100800"
    assert not [path for path in folder.iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize("step", ["", "-1h", "1y", "next"])
def test_an_unknown_step_or_nothing_due_moves_nothing(visitor: FlaskClient, step: str) -> None:
    move(visitor, step)
    assert clock.now() == MONDAY


def test_the_clock_cannot_be_moved_from_another_site(visitor: FlaskClient) -> None:
    assert visitor.post("/mailbox/clock", data={"step": "1d"}).status_code == 400
    assert clock.now() == MONDAY


def test_moving_keeps_whose_emails_are_shown(visitor: FlaskClient) -> None:
    assert move(visitor, "1h", to=ASHA) == "/mailbox?to=asha@therapists.example"


def test_the_next_thing_due_is_found_through_the_life_of_a_booking(
    demo: Flask, visitor: FlaskClient
) -> None:
    second = timedelta(seconds=1)
    assert next_due_at(clock.now()) is None
    ask()
    deliver(demo)
    move(visitor, "next")
    assert clock.now() == MONDAY + timedelta(hours=2) + second
    total(sweeps.remind_answers(clock.now()))
    deliver(demo)
    move(visitor, "next")
    assert clock.now() == MONDAY + timedelta(hours=3) + second
    total(sweeps.escalate_late(clock.now()))
    deliver(demo)
    assert next_due_at(clock.now()) == MONDAY + timedelta(hours=24)
    move(visitor, "next")
    total(sweeps.expire_enquiries(clock.now()))
    deliver(demo)
    assert next_due_at(clock.now()) is None


def test_the_next_thing_due_of_an_accepted_session_is_its_reminder_then_its_end(
    demo: Flask, visitor: FlaskClient
) -> None:
    wednesday_10 = TUESDAY_10 + timedelta(days=1)
    booking = ask(wednesday_10)
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())
    deliver(demo)
    due: list[datetime | None] = []
    for _ in range(3):
        due.append(next_due_at(clock.now()))
        move(visitor, "next")
        total(sweeps.remind_sessions(clock.now()))
        total(sweeps.complete_sessions(clock.now()))
        deliver(demo)
    assert due == [
        wednesday_10 - timedelta(hours=26),
        wednesday_10 - timedelta(hours=1),
        wednesday_10 + timedelta(hours=1),
    ]


def test_after_a_move_the_page_tells_what_the_scheduler_did(
    demo: Flask, visitor: FlaskClient
) -> None:
    booking = ask()
    deliver(demo)
    move(visitor, "3h")
    move(visitor, "1h")
    total(sweeps.escalate_late(clock.now()))
    deliver(demo)
    shown = page(visitor, "/mailbox")
    told = re.search(r'<ol class="events">(.*?)</ol>', shown, re.DOTALL)
    assert told
    assert "late, by system (scheduler)" in told[1]
    for kind in ("answer_late to therapist", "answer_late_client to client"):
        assert f"email {kind}, sent" in told[1]
    assert "requested" not in told[1]
    assert told[1].count(booking.reference) == 4
    assert shown.count(">new</span>") == 3

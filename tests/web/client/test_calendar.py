"""Add to calendar: one entry, whether it comes by email or from the Manage Booking page."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from icalendar import Calendar

from app import config
from app.rules.lifecycle import Actor, Kind
from app.services.clients.erase import erase_client
from app.services.therapists import profile
from app.store.models import Booking
from tests.harness.page_stories import all_rows, link
from tests.harness.pages import has_word
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

WORDS = "Add to calendar"
KEPT = ("UID", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "STATUS", "ORGANIZER", "LOCATION", "URL")


def manage(story: Story) -> str:
    """The path of the Manage Booking page, as the client has it from the first email."""
    return link(story.app, story.mail, "booking_received", "Manage Booking")


def offered(visitor: Visitor, page: str) -> str:
    """The path behind Add to calendar."""
    before, _, _ = visitor.get(page).text.rpartition(f">{WORDS}</a>")
    return before.rpartition('href="')[2].partition('"')[0]


def emailed(story: Story, booking: Booking, kind: str = "booking_accepted") -> bytes:
    """The calendar part of the only email of that kind."""
    story.deliver()
    wanted = (kind, booking.reference)
    [sent] = [
        each.parsed
        for each in story.mail.messages
        if (each.kind, each.parsed["X-Mindsum-Booking"]) == wanted
    ]
    [part] = [each for each in sent.walk() if each.get_content_type() == "text/calendar"]
    content: Any = part.get_payload(decode=True)
    return bytes(content)


def only_event(content: bytes) -> dict[str, str]:
    """The properties of the one event in it, as they are written."""
    [event] = Calendar.from_ical(content).walk("VEVENT")
    return {name: value.to_ical() for name, value in event.items()}


def addresses(page: str) -> dict[str, dict[str, str]]:
    """What the links to calendar services carry, by the name of the service."""
    found = re.findall(r'<a href="(https://[^"]+)" rel="noreferrer">([A-Za-z ]+)</a>', page)
    return {
        name: dict(parse_qsl(urlsplit(html.unescape(address)).query)) for address, name in found
    }


def test_calendar_services_are_told_the_time_and_a_given_name_and_no_more(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=datetime(2026, 11, 10, 10, 30, tzinfo=UTC))
    path = manage(story)
    story.accept(booking)
    page = visitor.get(path)
    assert addresses(page.text) == {
        "Google Calendar": {
            "action": "TEMPLATE",
            "text": "Session with Asha",
            "dates": "20261110T103000Z/20261110T112000Z",
            "details": "Where you meet, and any change: http://mindsum.test/my-links",
        },
        "Outlook": {
            "path": "/calendar/action/compose",
            "rru": "addevent",
            "subject": "Session with Asha",
            "startdt": "2026-11-10T10:30:00Z",
            "enddt": "2026-11-10T11:20:00Z",
            "body": "Where you meet, and any change: http://mindsum.test/my-links",
        },
    }
    assert page.headers["Referrer-Policy"] == "no-referrer"
    story.cancel(booking, Actor.THERAPIST)
    assert addresses(visitor.get(path).text) == {}


@pytest.mark.parametrize("kind", list(Kind))
def test_the_file_is_the_same_entry_as_the_emailed_event(
    story: Story, visitor: Visitor, kind: Kind
) -> None:
    booking = story.ask(kind=kind)
    page = manage(story)
    story.accept(booking)
    in_email = only_event(emailed(story, booking))
    story.wait(minutes=5)
    rows = all_rows()
    answer = visitor.get(offered(visitor, page))
    in_file = only_event(answer.data)
    assert {name: in_file[name] for name in KEPT} == {name: in_email[name] for name in KEPT}
    assert in_file["DTSTART"] == booking.starts_at.strftime("%Y%m%dT%H%M%SZ").encode()
    assert in_file["SEQUENCE"] == b"1"
    assert Calendar.from_ical(answer.data)["METHOD"] == "PUBLISH"
    assert all_rows() == rows


def test_the_file_is_a_download_that_nobody_keeps_and_that_names_only_the_other(
    story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    page = manage(story)
    story.accept(booking)
    answer = visitor.get(offered(visitor, page))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="{booking.reference}.ics"'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in answer.headers
    unfolded = answer.data.decode().replace("\r\n ", "").replace("\\n", "\n")
    assert "ATTENDEE" not in unfolded
    for told in ("Rao", "Dee", "Stone", "clients.example", "therapists.example", "/link/"):
        assert not has_word(told, unfolded)


def test_without_a_meeting_link_the_entry_has_no_place(story: Story, visitor: Visitor) -> None:
    profile.update("asha", {"meeting_url": None}, story.now)
    booking = story.ask()
    page = manage(story)
    story.accept(booking)
    event = only_event(visitor.get(offered(visitor, page)).data)
    assert "LOCATION" not in event
    assert event["URL"].endswith(b"/my-links")


def test_the_organizer_stays_when_the_sender_changes(story: Story, visitor: Visitor) -> None:
    """A calendar program takes an update only from the organizer it knows."""
    booking = story.ask()
    page = manage(story)
    first = config.current()
    config.use(first.model_copy(update={"mail_default_sender": "New <new@mindsum.example>"}))
    story.accept(booking)
    in_email = only_event(emailed(story, booking))
    in_file = only_event(visitor.get(offered(visitor, page)).data)
    address = first.mail_default_sender.partition("<")[2].rstrip(">")
    assert in_email["ORGANIZER"] == in_file["ORGANIZER"] == f"mailto:{address}".encode()
    later = only_event(
        emailed(
            story,
            story.ask(starts_at=booking.ends_at + timedelta(hours=2, minutes=10)),
            "booking_requested",
        )
    )
    assert later["ORGANIZER"] == b"mailto:new@mindsum.example"


def declined(story: Story, booking: Booking) -> None:
    story.decline(booking)


def cancelled(story: Story, booking: Booking) -> None:
    story.accept(booking)
    story.cancel(booking, Actor.THERAPIST)


def over(story: Story, booking: Booking) -> None:
    story.accept(booking)
    story.at(booking.completes_at)


def unanswered(story: Story, booking: Booking) -> None:
    story.at(booking.expires_at)


def nothing(_story: Story, _booking: Booking) -> None:
    """Leave the enquiry open."""


@pytest.mark.parametrize(
    ("befalls", "status"),
    [(nothing, 409), (declined, 409), (cancelled, 409), (over, 409), (unanswered, 410)],
)
def test_only_an_accepted_session_has_a_file_and_the_answer_says_where_it_stands(
    story: Story, visitor: Visitor, befalls: Callable[[Story, Booking], None], status: int
) -> None:
    booking = story.ask()
    page = manage(story)
    befalls(story, booking)
    shown = visitor.get(page)
    assert WORDS not in shown.text
    answer = visitor.get(f"{page}/calendar.ics")
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert shown.text.partition("<h1")[2].partition("</h1>")[0] in answer.text


def test_it_is_offered_until_the_session_has_ended(story: Story, visitor: Visitor) -> None:
    booking = story.ask()
    page = manage(story)
    story.accept(booking)
    story.at(booking.ends_at - timedelta(seconds=1))
    assert visitor.get(offered(visitor, page)).status_code == 200
    story.at(booking.ends_at)
    assert WORDS not in visitor.get(page).text


def late(story: Story, booking: Booking, page: str) -> str:
    story.at(booking.ends_at + timedelta(days=90))
    return page


def forgotten(story: Story, booking: Booking, page: str) -> str:
    story.cancel(booking, Actor.CLIENT)
    erase_client(booking.client.email, story.now)
    return page


def forged(_story: Story, _booking: Booking, page: str) -> str:
    # Not its last character: of that only some bits are read.
    said, dot, signature = page.rpartition(".")
    return said + dot + ("A" if signature[0] != "A" else "B") + signature[1:]


def of_another_aim(story: Story, _booking: Booking, _page: str) -> str:
    accept = link(story.app, story.mail, "booking_requested", "Accept")
    return accept.replace("/accept/", "/manage/")


@pytest.mark.parametrize(
    ("spoilt", "status"), [(late, 410), (forgotten, 404), (forged, 400), (of_another_aim, 400)]
)
def test_a_link_that_no_longer_opens_the_page_opens_no_file(
    app: Flask,
    story: Story,
    visitor: Visitor,
    spoilt: Callable[[Story, Booking, str], str],
    status: int,
) -> None:
    booking = story.ask()
    page = manage(story)
    story.accept(booking)
    page = spoilt(story, booking, page)
    answers = [visitor.get(page), visitor.get(f"{page}/calendar.ics")]
    assert [answer.status_code for answer in answers] == [status, status]

"""A therapist's calendar feed: its address in Profile Settings, and what is read there."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from icalendar import Calendar

from app import config
from app.rules.lifecycle import Actor, Kind, Via
from app.services import sessions
from app.services.bookings import propose
from app.services.therapists import accounts, feed, profile
from app.services.therapists.erase import erase_therapist
from app.services.therapists.export import export_therapist
from app.store.models import AccessEntry, CalendarFeed, Therapist
from tests.harness.page_stories import forms, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor, another_visitor, counted_queries

PROFILE = "/dashboard/profile"
DAY = timedelta(days=1)


@pytest.fixture
def asha(app: Flask, story: Story, mail: MailServer, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


@pytest.fixture
def path(story: Story) -> str:
    """The path of Asha's feed."""
    return path_of(feed.start("asha", story.now))


def path_of(row: CalendarFeed) -> str:
    return (feed.address(row) or "").removeprefix(config.current().public_url)


def press(asha: Visitor, action: str, **typed: str) -> Any:
    form = next(each for each in forms(asha.get(PROFILE)) if each.action.endswith(action))
    return asha.post(form.action, data={**form.fields, **typed}, follow_redirects=True)


def shown_address(page: Any) -> str | None:
    found = re.search(r'id="feed-address" value="([^"]+)"', page.text)
    return found[1] if found else None


def events(answer: Any) -> dict[str, Any]:
    """The entries by their reference."""
    assert answer.status_code == 200
    found = Calendar.from_ical(answer.data).walk("VEVENT")
    return {str(each["UID"]).partition("@")[0]: each for each in found}


@pytest.mark.both_databases
def test_the_feed_is_turned_on_given_another_address_and_turned_off(
    asha: Visitor, app: Flask
) -> None:
    program = another_visitor(app)
    assert shown_address(asha.get(PROFILE)) is None
    addresses = []
    for _ in range(2):
        page = press(asha, "/calendar-feed")
        address = shown_address(page)
        assert address is not None and address.startswith("http://mindsum.test/calendar/")
        assert f'value="webcal:{address.partition(":")[2]}"' in page.text
        assert events(program.get(address)) == {}
        addresses.append(address)
    assert addresses[0] != addresses[1]
    assert program.get(addresses[0]).status_code == 404
    page = press(asha, "/end-calendar-feed")
    assert "Turned off." in page.text
    assert shown_address(page) is None
    assert program.get(addresses[1]).status_code == 404


@pytest.mark.both_databases
def test_requests_are_tentative_sessions_confirmed_and_what_ended_is_gone(
    story: Story, path: str, visitor: Visitor
) -> None:
    at = story.now + 2 * DAY
    hours = [at + timedelta(hours=each) for each in range(6)]
    names = ("open", "accepted", "declined", "withdrawn", "cancelled", "expired")
    asked = {
        name: story.ask(starts_at=hour, client=(f"C{name} Long", f"{name}@x.example", ELI[2]))
        for name, hour in zip(names, hours, strict=True)
    }
    other = story.ask("bran", starts_at=at + timedelta(hours=8))
    story.sent()
    story.accept(asked["accepted"])
    story.decline(asked["declined"])
    story.withdraw(asked["withdrawn"])
    story.accept(asked["cancelled"])
    story.cancel(asked["cancelled"], Actor.THERAPIST)
    found = events(visitor.get(path))
    by_name = {name: found.get(booking.reference) for name, booking in asked.items()}
    assert {name: str(each["STATUS"]) for name, each in by_name.items() if each} == {
        "open": "TENTATIVE", "expired": "TENTATIVE", "accepted": "CONFIRMED",
    }  # fmt: skip
    assert other.reference not in found
    accepted = found[asked["accepted"].reference]
    assert accepted.decoded("DTSTART") == asked["accepted"].starts_at
    assert accepted.decoded("DTEND") == asked["accepted"].ends_at
    assert str(accepted["SUMMARY"]) == "Session with Caccepted"
    # By the clock, whether or not a job has run.
    story.at(asked["expired"].expires_at)
    assert set(events(visitor.get(path))) == {asked["accepted"].reference}


def test_an_entry_is_the_one_that_was_emailed(story: Story, path: str, visitor: Visitor) -> None:
    booking = story.ask()
    story.accept(booking)
    story.deliver()
    [emailed] = [
        Calendar.from_ical(part.get_payload(decode=True)).walk("VEVENT")[0]
        for sent in story.mail.messages
        if sent.kind == "session_confirmed"
        for part in sent.parsed.walk()
        if part.get_content_type() == "text/calendar"
    ]
    [read] = events(visitor.get(path)).values()
    for name in ("UID", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "STATUS", "LOCATION", "URL"):
        assert read[name].to_ical() == emailed[name].to_ical(), name


def test_a_moved_session_moves_with_a_higher_sequence(
    story: Story, path: str, visitor: Visitor
) -> None:
    booking = story.ask(starts_at=story.now + 3 * DAY + timedelta(hours=1))
    story.accept(booking)
    [before] = events(visitor.get(path)).values()
    story.wait(hours=1)
    booking = story.reload(booking)
    to = booking.starts_at + timedelta(hours=2)
    propose.propose(booking, [to], by=Actor.THERAPIST, via=Via.LINK, now=story.now)
    propose.take(story.reload(booking), to, by=Actor.CLIENT, via=Via.LINK, now=story.now)
    [after] = events(visitor.get(path)).values()
    assert after.decoded("DTSTART") == to
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after.decoded("DTSTAMP") > before.decoded("DTSTAMP")


@pytest.mark.both_databases
def test_what_has_not_changed_is_not_sent_again(story: Story, path: str, visitor: Visitor) -> None:
    booking = story.ask(starts_at=story.now + 2 * DAY)
    first = visitor.get(path)
    same = {"If-None-Match": first.headers["ETag"]}
    for _ in range(2):
        story.wait(minutes=50)
        again = visitor.get(path, headers=same)
        assert (again.status_code, again.data) == (304, b"")
        assert visitor.get(path).data == first.data
    story.accept(booking)
    changed = visitor.get(path, headers=same)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert visitor.head(path).headers["ETag"] == changed.headers["ETag"]


def test_sessions_of_the_last_thirty_days_stay_and_older_ones_leave(
    story: Story, path: str, visitor: Visitor
) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.completes_at)
    story.sweep()
    story.at(booking.starts_at + 30 * DAY - timedelta(hours=1))
    assert set(events(visitor.get(path))) == {booking.reference}
    story.at(booking.starts_at + 31 * DAY)
    assert events(visitor.get(path)) == {}


def test_a_title_can_say_only_that_the_time_is_taken(
    story: Story, path: str, asha: Visitor, app: Flask
) -> None:
    story.accept(story.ask())
    program = another_visitor(app)
    page = press(asha, "/calendar-titles")
    assert "Only “Busy”" in page.text
    answer = program.get(path)
    [event] = events(answer).values()
    assert str(event["SUMMARY"]) == "Busy"
    assert b"Dee" not in answer.data
    # A new address keeps the choice.
    press(asha, "/calendar-feed")
    assert "Only “Busy”" in asha.get(PROFILE).text
    press(asha, "/calendar-titles")
    assert "given name" in asha.get(PROFILE).text
    refused = press(asha, "/calendar-titles", names="maybe")
    assert refused.status_code == 400


def test_nothing_but_given_names_is_told(story: Story, path: str, visitor: Visitor) -> None:
    story.accept(story.ask(note="I sleep badly."))
    told = visitor.get(path).data.decode().replace("\r\n ", "")
    for word in ("Stone", "Rao", "clients.example", "therapists.example", "sleep", "/link/", "60"):
        assert word not in re.sub(r"\d{8}T\d{6}Z|PT15M", "", told), word


def test_its_answer_sets_no_cookie_and_is_kept_by_its_reader_alone(
    path: str, visitor: Visitor
) -> None:
    headers = visitor.get(path).headers
    assert headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in headers


def test_every_wrong_address_gets_the_same_answer(
    story: Story, path: str, visitor: Visitor
) -> None:
    old = path
    feed.start("asha", story.now)
    secret = old.removeprefix("/calendar/").removesuffix(".ics")
    wrong = [old, f"/calendar/{secret[:-1]}.ics", "/calendar/x.ics", f"/calendar/{'a' * 300}.ics"]
    answers = [visitor.get(each) for each in wrong]
    assert {each.status_code for each in answers} == {404}
    assert len({each.text for each in answers}) == 1
    kept = ("Cache-Control", "Referrer-Policy", "X-Robots-Tag", "Content-Type")
    assert len({tuple(each.headers[name] for name in kept) for each in answers}) == 1


def test_the_address_ends_with_the_mailbox_and_the_account_and_not_with_sessions(
    story: Story, path: str, visitor: Visitor
) -> None:
    sessions.end_all("asha", story.now)
    assert visitor.get(path).status_code == 200
    accounts.pause("asha", on=True)
    Therapist.update(deactivated_at=story.now).where(Therapist.slug == "asha").execute()
    assert visitor.get(path).status_code == 200
    accounts.change_address("asha", "Asha@Therapists.example", story.now)
    assert visitor.get(path).status_code == 200
    accounts.change_address("asha", "new@therapists.example", story.now)
    assert visitor.get(path).status_code == 404
    path = path_of(feed.start("asha", story.now))
    exported = export_therapist("asha", story.now)
    assert exported["calendar_feed_since"] == story.now.isoformat()
    assert path.removeprefix("/calendar/")[:40] not in str(exported)
    erase_therapist("asha", story.now)
    assert visitor.get(path).status_code == 404
    assert not CalendarFeed.select().exists()


def test_the_database_does_not_tell_the_address(path: str) -> None:
    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    assert len(secret) >= 43
    [row] = CalendarFeed.select().tuples()
    assert not any(secret in str(value) for value in row)


def test_an_address_that_no_key_opens_works_and_can_be_replaced(
    path: str, asha: Visitor, app: Flask
) -> None:
    other = "b" * 43 + "="
    config.use(config.current().model_copy(update={"notes_key": (other,)}))
    page = asha.get(PROFILE)
    assert page.status_code == 200
    assert shown_address(page) is None
    assert "cannot be shown any more" in page.text
    assert another_visitor(app).get(path).status_code == 200
    assert shown_address(press(asha, "/calendar-feed")) is not None


def test_reading_it_is_one_row_of_the_trail_a_day_and_a_wrong_address_a_refusal(
    story: Story, path: str, visitor: Visitor
) -> None:
    for _ in range(3):
        visitor.get(path)
        story.wait(minutes=15)
    visitor.get("/calendar/x.ics")
    story.wait(hours=24)
    visitor.get(path)
    rows = AccessEntry.select().order_by(AccessEntry.id)
    assert [(str(each.event), str(each.by), str(each.via), each.times) for each in rows] == [
        ("feed_started", "ops", "cli", 1),
        ("feed_read", "therapist", "link", 3),
        ("link_refused", "stranger", "link", 1),
        ("feed_read", "therapist", "link", 1),
    ]
    feed.end("asha", story.now)
    assert str(AccessEntry.select().order_by(AccessEntry.id.desc()).get().event) == "feed_ended"


def test_one_address_is_limited_and_not_the_network_of_many(
    story: Story, path: str, limited: Visitor
) -> None:
    other = path_of(feed.start("bran", story.now))
    statuses = [limited.get(path).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    assert limited.get(other).status_code == 200


def test_a_long_past_costs_nothing(story: Story, path: str, visitor: Visitor) -> None:
    with counted_queries() as before:
        visitor.get(path)
    for day in range(1, 6):
        story.ask(starts_at=story.now + day * DAY + timedelta(hours=2), kind=Kind.PAID)
    with counted_queries() as after:
        assert len(events(visitor.get(path))) == 5
    reads = [[each for each in seen if each.startswith("SELECT")] for seen in (before, after)]
    assert [len(each) for each in reads] == [2, 2]


def test_a_new_meeting_link_is_in_the_feed(story: Story, path: str, visitor: Visitor) -> None:
    story.accept(story.ask())
    profile.update("asha", {"meeting_url": "https://meet.example/new"}, story.now)
    [event] = events(visitor.get(path)).values()
    assert str(event["LOCATION"]) == "https://meet.example/new"


def test_a_stranger_cannot_turn_it_on(cast: Cast, visitor: Visitor) -> None:
    for action in ("calendar-feed", "end-calendar-feed", "calendar-titles"):
        assert visitor.post(f"{PROFILE}/{action}").status_code == 401
    assert not CalendarFeed.select().exists()

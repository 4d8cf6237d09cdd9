"""Each reader sees their own time, named, also while only one side has changed its clocks."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.rules.weekly_hours import parse_windows
from app.services.therapists import profile
from app.web.links import tokens
from tests.harness.api_calls import ELI, Call, wanted
from tests.harness.page_stories import sign_in
from tests.harness.pages import text
from tests.harness.smtp_server import Accepted
from tests.scenarios.story import DEE, Story
from tests.web.conftest import Visitor

NEW_YORK = "America/New_York"
ELI_OF_LONDON = ("Eli Marsh", "eli@clients.example", "Europe/London")
DEE_OF_LONDON = {"name": DEE[0], "email": DEE[1], "timezone": "Europe/London"}
ZONES = {"asha": "Europe/London", "chi": "Australia/Lord_Howe"}
PLACES = {"asha": "London", "chi": "Lord Howe"}


@dataclass(frozen=True)
class Wall:
    """How the wall clock of one place shows a session."""

    day: str
    start: str
    end: str
    zone: str

    @property
    def span(self) -> str:
        return f"{self.day}, {self.start}–{self.end} ({self.zone})"

    @property
    def moment(self) -> str:
        return f"{self.day}, {self.start} ({self.zone})"


def london(day: str, short: str) -> Wall:
    return Wall(day, "10:00", "10:50", f"London, {short}")


def new_york(day: str, hour: int, short: str, minutes: int = 0) -> Wall:
    return Wall(day, f"{hour:02}:{minutes:02}", _end(hour, minutes), f"New York, {short}")


def lord_howe(day: str, short: str) -> Wall:
    return Wall(day, "10:00", "10:50", f"Lord Howe, {short}")


def _end(hour: int, minutes: int) -> str:
    hours, rest = divmod(hour * 60 + minutes + 50, 60)
    return f"{hours:02}:{rest:02}"


CASES = [
    ("asha", "2026-10-25T10:00Z", london("Sun 25 Oct 2026", "GMT"),
     new_york("Sun 25 Oct 2026", 6, "EDT")),
    ("asha", "2026-10-31T10:00Z", london("Sat 31 Oct 2026", "GMT"),
     new_york("Sat 31 Oct 2026", 6, "EDT")),
    ("asha", "2026-11-01T10:00Z", london("Sun 1 Nov 2026", "GMT"),
     new_york("Sun 1 Nov 2026", 5, "EST")),
    ("asha", "2027-03-14T10:00Z", london("Sun 14 Mar 2027", "GMT"),
     new_york("Sun 14 Mar 2027", 6, "EDT")),
    ("asha", "2027-03-27T10:00Z", london("Sat 27 Mar 2027", "GMT"),
     new_york("Sat 27 Mar 2027", 6, "EDT")),
    ("asha", "2027-03-28T09:00Z", london("Sun 28 Mar 2027", "BST"),
     new_york("Sun 28 Mar 2027", 5, "EDT")),
    ("chi", "2026-10-30T23:00Z", lord_howe("Sat 31 Oct 2026", "UTC+11"),
     new_york("Fri 30 Oct 2026", 19, "EDT")),
    ("chi", "2027-04-03T23:30Z", lord_howe("Sun 4 Apr 2027", "UTC+10:30"),
     new_york("Sat 3 Apr 2027", 19, "EDT", 30)),
]  # fmt: skip
both_clocks = pytest.mark.parametrize(
    ("slug", "instant", "theirs", "mine"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES]
)


def two_days_before(story: Story, instant: str) -> datetime:
    """Go there; the instant itself."""
    starts_at = datetime.fromisoformat(instant)
    story.at(starts_at - timedelta(hours=50))
    return starts_at


def places(words: str) -> set[str]:
    """The places whose time is shown."""
    return set(re.findall(r"\((London|New York|Lord Howe), [A-Z]{3}[^)]*\)", words))


@both_clocks
def test_each_sees_their_own_time_on_the_pages_of_a_booking(
    app: Flask, story: Story, visitor: Visitor, slug: str, instant: str, theirs: Wall, mine: Wall
) -> None:
    starts_at = two_days_before(story, instant)
    booking = story.ask(slug, starts_at=starts_at)
    with app.test_request_context():
        manage, accept = (
            tokens.path(aim, booking) for aim in (LinkPurpose.MANAGE, LinkPurpose.ACCEPT)
        )
    of_client, of_therapist = text(visitor.get(manage)), text(visitor.get(accept))
    assert mine.span in of_client
    assert places(of_client) == {"New York"}
    assert theirs.span in of_therapist
    assert places(of_therapist) == {PLACES[slug]}

    sign_in(app, story.mail, visitor, f"{slug}@therapists.example")
    session = text(visitor.get(f"/dashboard/sessions/{booking.reference}"))
    assert theirs.span in session
    assert f"Dee’s time {mine.moment}" in session

    story.accept(booking)
    confirmed = text(visitor.get(manage))
    assert mine.span in confirmed
    assert f"at {mine.start}." in confirmed


@pytest.mark.parametrize(
    ("instant", "again"), [("2026-10-24T10:00Z", []), ("2026-10-26T10:00Z", ["London, BST"])]
)
def test_a_page_names_a_zone_once_and_again_where_the_clocks_have_changed(
    app: Flask, story: Story, visitor: Visitor, instant: str, again: list[str]
) -> None:
    starts_at = two_days_before(story, instant)
    booking = story.ask(starts_at=starts_at, client=ELI_OF_LONDON)
    with app.test_request_context():
        page = visitor.get(tokens.path(LinkPurpose.MANAGE, booking))
    timeline = page.text.partition("What has happened so far")[2]
    assert timeline.count("<time") == 1
    assert re.findall(r"\(([^)]+)\)</time>", timeline) == again
    # The session's own time always names it.
    assert len(re.findall(r"\d–\d\d:\d\d \(London, [A-Z]{3}\)", page.text)) == 1


@both_clocks
def test_a_therapists_page_shows_the_visitors_clock_or_else_the_therapists(
    story: Story, visitor: Visitor, slug: str, instant: str, theirs: Wall, mine: Wall
) -> None:
    two_days_before(story, instant)
    for zone, wall in ((NEW_YORK, mine), (ZONES[slug], theirs)):
        day = datetime.strptime(f"{wall.day} +0000", "%a %d %b %Y %z")
        page = visitor.get(f"/therapists/{slug}?tz={zone}&from={day:%Y-%m-%d}")
        assert f"Times in {wall.zone}." in text(page)
        first_day = page.text.partition("<fieldset")[2].partition("</fieldset>")[0]
        assert f'data-day="{day:%Y-%m-%d}"' in first_day
        assert f'"weekday">{day:%A}</span> {day.day} {day:%B}' in first_day
        found = re.search(rf'value="{instant.removesuffix("Z")}:00Z">([^<]+)<', first_day)
        assert found
        assert found[1] == wall.start


@both_clocks
def test_each_email_tells_the_time_of_whoever_reads_it(
    story: Story, slug: str, instant: str, theirs: Wall, mine: Wall
) -> None:
    starts_at = two_days_before(story, instant)
    booking = story.ask(slug, starts_at=starts_at)
    sent = story.sent()
    story.accept(booking)
    sent += story.sent()
    story.at(starts_at - timedelta(hours=24))
    story.sweep()
    sent += story.sent()
    assert sorted(kind(each) for each in sent) == sorted(
        [
            "booking_received", "booking_requested", "booking_accepted", "session_confirmed",
            "session_reminder", "session_reminder",
        ]
    )  # fmt: skip
    for each in sent:
        is_to_client = DEE[1] in each.rcpt_tos
        wall = mine if is_to_client else theirs
        told = {"New York"} if is_to_client else {PLACES[slug]}
        if kind(each) == "booking_requested":
            assert f"Dee’s time: {mine.moment}" in plain(each)
            told = told | {"New York"}
        assert wall.span in plain(each)
        assert places(plain(each)) == told
        assert f"{wall.start}–{wall.end}" in html(each)
        assert wall.zone in html(each)


def test_both_starts_of_an_hour_that_comes_twice_are_offered_and_told_apart(
    story: Story, visitor: Visitor, call: Call
) -> None:
    profile.set_hours("asha", parse_windows("Sun 00:00-03:00"))
    story.at(datetime(2026, 10, 22, 9, tzinfo=UTC))
    first, second = "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"
    page = visitor.get("/therapists/asha?tz=Europe/London&from=2026-10-25").text
    offered = dict(re.findall(r'value="(2026-10-25T[^"]+)">([^<]+)<', page))
    assert (offered[first], offered[second]) == ("01:30 BST", "01:30 GMT")
    assert len(offered) == 5
    assert list(offered) == call("GET", "therapists/asha/slots?from=2026-10-25&days=1").get_json()
    booked = [
        call("POST", "bookings", wanted(starts_at=at, client=client)).get_json()
        for at, client in ((first, DEE_OF_LONDON), (second, ELI))
    ]
    assert [each["starts_at"] for each in booked] == [first, second]
    told = [plain(each) for each in story.sent() if kind(each) == "booking_received"]
    assert ["01:30 BST–01:20 GMT" in each for each in told] == [True, False]
    assert ["01:30 GMT–02:20" in each for each in told] == [False, True]


def kind(sent: Accepted) -> str:
    return str(sent.kind)


def plain(sent: Accepted) -> str:
    return body(sent, "plain")


def html(sent: Accepted) -> str:
    return body(sent, "html")


def body(sent: Accepted, subtype: Any) -> str:
    part = sent.parsed.get_body((subtype,))
    assert part is not None
    return str(part.get_content())

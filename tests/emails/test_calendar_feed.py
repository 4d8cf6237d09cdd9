"""The calendar feed as two calendar programs' libraries read it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from emails.calendar_feed import FeedEntry, feed
from emails.safety import UnsafeValue, clean_name
from tests.harness.calendar_programs import by_icalendar, read_by_both
from tests.harness.every import for_every

TUESDAY = datetime(2026, 11, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def entry(**changed: Any) -> FeedEntry:
    at = changed.pop("at", TUESDAY)
    fields: dict[str, Any] = {
        "reference": "MB-7K3QXD",
        "client_name": "Dee",
        "starts_at": at,
        "ends_at": at + 50 * MINUTE,
        "is_confirmed": True,
        "sequence": 1,
        "changed_at": TUESDAY - timedelta(days=3),
        "url": "https://site.example/dashboard/sessions/MB-7K3QXD",
        "meeting_url": "https://meet.example/asha?room=1,2;3",
    }
    return FeedEntry(**{**fields, **changed})


def test_both_read_what_was_written() -> None:
    confirmed = entry()
    tentative = entry(reference="MB-222222", is_confirmed=False, sequence=0, client_name="Eli; Jr")
    assert read_by_both(feed([confirmed, tentative], shows_names=True)) == [
        (
            "MB-7K3QXD@mindsum-bookings", 1, "CONFIRMED", "Session with Dee",
            confirmed.starts_at, confirmed.ends_at, confirmed.changed_at,
        ),
        (
            "MB-222222@mindsum-bookings", 0, "TENTATIVE", "Request from Eli; Jr",
            tentative.starts_at, tentative.ends_at, tentative.changed_at,
        ),
    ]  # fmt: skip


def test_a_place_and_a_page_are_told_beside_the_name() -> None:
    [event] = Calendar.from_ical(feed([entry()], shows_names=True)).walk("VEVENT")
    assert str(event["LOCATION"]) == "https://meet.example/asha?room=1,2;3"
    assert str(event["URL"]).endswith("/dashboard/sessions/MB-7K3QXD")
    assert str(event["DESCRIPTION"]) == f"Reference MB-7K3QXD\n{event['URL']}"
    open_one = feed([entry(is_confirmed=False)], shows_names=True)
    assert b"LOCATION" not in open_one


def test_without_names_only_the_time_is_told() -> None:
    content = feed([entry(), entry(is_confirmed=False, reference="MB-333333")], shows_names=False)
    assert [each[3] for each in read_by_both(content)] == ["Busy", "Busy, not confirmed yet"]
    for told in (b"Dee", b"meet.example", b"DESCRIPTION", b"URL"):
        assert told not in content


# On each side of, and within, the hours in which London and New York change their clocks.
CHANGES = [
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
    datetime(2027, 3, 14, 6, 30, tzinfo=UTC),
    datetime(2027, 3, 14, 7, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
]


@for_every([(at, zone) for at in CHANGES for zone in ("Europe/London", "America/New_York")])
def test_across_a_change_of_clocks_each_session_is_at_its_instant(at: datetime, zone: str) -> None:
    [(*_, starts_at, ends_at, _)] = read_by_both(feed([entry(at=at)], shows_names=True))
    assert (starts_at, ends_at) == (at, at + 50 * MINUTE)
    local = starts_at.astimezone(ZoneInfo(zone))
    assert local.replace(tzinfo=None) == at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def test_a_calendar_without_sessions_is_one() -> None:
    assert read_by_both(feed([], shows_names=True)) == []


@given(st.text(max_size=60))
def test_any_name_is_one_line_that_both_read(name: str) -> None:
    content = feed([entry(client_name=name)], shows_names=True)
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 75 and b"\r" not in line and b"\n" not in line for line in lines)
    [(*_, summary, _, _, _)] = by_icalendar(content)
    assert summary == f"Session with {clean_name(name, 'a client')}"
    assert content.decode().count("BEGIN:VEVENT") == 1


@pytest.mark.parametrize("name", ["Zoë " * 12, "李小龙" * 15, "\U0001f30a" * 40, "a,b;c\\d" * 8])
def test_long_names_are_folded_between_characters(name: str) -> None:
    [(*_, summary, _, _, _)] = read_by_both(feed([entry(client_name=name)], shows_names=True))
    assert summary == f"Session with {clean_name(name, '')}"


@pytest.mark.parametrize(
    "changed",
    [{"reference": "MB-1\r\nX:1"}, {"url": "https://x.example/\r\nX:1"}, {"meeting_url": "x y"}],
)
def test_a_value_that_no_calendar_may_carry_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue):
        feed([entry(**changed)], shows_names=True)

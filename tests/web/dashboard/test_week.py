"""The week: what is on which of the therapist's own days, also where the clocks change."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from app.rules.weekly_hours import parse_windows
from app.services.therapists import profile
from app.services.therapists.profile import Away
from app.web.dashboard.week import Day, Entry, week_of
from tests.harness.page_stories import sign_in
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor

LONDON, LORD_HOWE = "Europe/London", "Australia/Lord_Howe"


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def week(asha: Visitor, first: str = "") -> list[str]:
    """The words of each day's row."""
    page = asha.get("/dashboard/week" + (f"?from={first}" if first else ""))
    assert page.status_code == 200
    body = page.text.partition('<tbody role="rowgroup">')[2].partition("</tbody>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row) for row in body.split("</tr>")[:-1]]
    return [" ".join(row.split()) for row in rows]


@pytest.mark.both_databases
def test_a_week_shows_everything_that_takes_time(story: Story, asha: Visitor) -> None:
    story.accept(story.ask(starts_at=datetime(2026, 11, 4, 10, tzinfo=UTC)))
    story.ask(starts_at=datetime(2026, 11, 5, 9, tzinfo=UTC), client=ELI)
    suggested = story.ask(starts_at=datetime(2026, 11, 5, 11, tzinfo=UTC))
    story.propose(suggested, datetime(2026, 11, 6, 14, tzinfo=UTC))
    gone = story.ask(starts_at=datetime(2026, 11, 6, 9, tzinfo=UTC))
    story.decline(gone)
    away = Away(datetime(2026, 11, 7, 12, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    profile.add_time_off("asha", away, story.now)
    profile.set_hours("asha", parse_windows("Mon-Wed 09:00-12:00, Mon 13:00-17:15"))
    assert week(asha) == [
        "Mon 2 Nov Today Open 09:00–12:00, 13:00–17:15 Nothing",
        "Tue 3 Nov Open 09:00–12:00 Nothing",
        "Wed 4 Nov Open 09:00–12:00 10:00–10:50 Dee",
        "Thu 5 Nov No open hours 09:00–09:50 Eli Waits for your answer"
        " 11:00–11:50 Dee You suggested other times",
        "Fri 6 Nov No open hours 14:00–14:50 Dee You offered this time",
        "Sat 7 Nov No open hours 12:00–24:00 Time off",
        "Sun 8 Nov No open hours All day Time off",
    ]


def test_any_day_of_a_week_shows_it_and_leads_to_its_neighbours(
    story: Story, asha: Visitor
) -> None:
    page = asha.get("/dashboard/week?from=2026-11-12").text
    assert "Monday 9 November to Sunday 15 November 2026" in page
    for first in ("2026-11-02", "2026-11-16"):
        assert f'href="/dashboard/week?from={first}"' in page
    assert ">This week</a>" in page
    for nonsense in ("soon", "2026-13-01", "2999-01-01", "2000-01-01", ""):
        assert "Monday 2 November" in asha.get(f"/dashboard/week?from={nonsense}").text


def test_another_therapists_week_is_not_shown(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor
) -> None:
    story.accept(story.ask())
    sign_in(app, mail, visitor, "bran@therapists.example")
    assert not has_word("Dee", " ".join(week(visitor)))


def test_the_days_are_the_therapists_own(
    app: Flask, mail: MailServer, story: Story, visitor: Visitor
) -> None:
    # 09:00 on Thursday on Lord Howe.
    story.accept(story.ask("chi", starts_at=datetime(2026, 11, 4, 22, tzinfo=UTC)))
    sign_in(app, mail, visitor, "chi@therapists.example")
    days = week(visitor)
    assert days[3].startswith("Thu 5 Nov Open 09:00–17:00 09:00–09:50 Dee")
    assert days[2].endswith("Nothing")


def session(start: datetime, minutes: int = 50) -> Entry:
    return Entry(start, start + timedelta(minutes=minutes), "session", "Dee", "MB-222222")


@pytest.mark.parametrize(
    ("zone", "monday", "changing", "hours"),
    [
        (LONDON, date(2026, 10, 19), 6, 25),
        (LONDON, date(2027, 3, 22), 6, 23),
        ("America/New_York", date(2026, 10, 26), 6, 25),
        (LORD_HOWE, date(2026, 9, 28), 6, 23.5),
        (LONDON, date(2026, 11, 2), None, 24),
    ],
)
def test_a_day_on_which_clocks_change_is_whole_and_marked(
    zone: str, monday: date, changing: int | None, hours: float
) -> None:
    days = week_of(monday, ZoneInfo(zone), [], [])
    marked = [number for number, day in enumerate(days) if day.changes_clocks]
    assert marked == ([] if changing is None else [changing])
    for day in days[changing or 0 :][:1]:
        assert day.ends_at - day.starts_at == timedelta(hours=hours)
    for before, after in pairwise(days):
        assert before.ends_at == after.starts_at
    assert [day.on for day in days] == [monday + timedelta(days=number) for number in range(7)]


def test_a_session_in_the_hour_that_comes_twice_says_which_one() -> None:
    starts = [datetime(2026, 10, 25, hour, 0, tzinfo=UTC) for hour in (0, 1)]
    entries = [session(start) for start in starts]
    sunday = week_of(date(2026, 10, 19), ZoneInfo(LONDON), entries, [])[6]
    texts = [sunday.text(entry, LONDON) for entry in sunday.entries]
    assert texts == ["01:00 BST–01:50 BST", "01:00 GMT–01:50 GMT"]


def test_what_crosses_midnight_is_on_both_days_and_what_ends_there_on_one() -> None:
    across = session(datetime(2026, 11, 3, 23, 30, tzinfo=UTC))
    until_midnight = session(datetime(2026, 11, 5, 23, 10, tzinfo=UTC))
    days = week_of(date(2026, 11, 2), ZoneInfo(LONDON), [across, until_midnight], [])
    assert [len(day.entries) for day in days] == [0, 1, 1, 1, 0, 0, 0]
    told = [day.text(day.entries[0], LONDON) for day in days[1:4]]
    assert told == ["23:30–00:20", "until 00:20", "23:10–00:00"]


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-11-02T00:00", "2026-11-05T00:00", "All day"),
        ("2026-11-03T12:00", "2026-11-03T13:30", "12:00–13:30"),
        ("2026-11-03T12:00", "2026-11-04T00:00", "12:00–24:00"),
        ("2026-11-01T12:00", "2026-11-03T07:00", "00:00–07:00"),
    ],
)
def test_time_off_is_told_as_far_as_it_lies_on_the_day(start: str, end: str, said: str) -> None:
    begins, ends = (datetime.fromisoformat(f"{each}+00:00") for each in (start, end))
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    day = Day(date(2026, 11, 3), midnight, midnight + timedelta(days=1), [], [])
    assert day.text(Entry(begins, ends, "time_off"), LONDON) == said

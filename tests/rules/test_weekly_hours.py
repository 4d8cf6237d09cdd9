"""Weekly hours are read, written, and refused by name; local days and times are instants."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.weekly_hours import (
    Window,
    checked,
    day_starts_at,
    format_windows,
    local_instant,
    parse_windows,
    window,
)

LONDON = ZoneInfo("Europe/London")
MORNING_AND_AFTERNOON = [(540, 720), (780, 1020)]
NINE_TO_FIVE = [Window(day, 9 * 60, 17 * 60) for day in range(5)]


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", []),
        ("  ", []),
        ("Mon-Fri 09:00-17:00", NINE_TO_FIVE),
        ("mon - FRI  9:00 – 17:00", NINE_TO_FIVE),
        ("Monday-Friday 09:00-17:00", NINE_TO_FIVE),
        (
            "Mon-Fri 09:00-17:00, Sat 10:00-12:30",
            [*NINE_TO_FIVE, Window(5, 600, 750)],
        ),
        ("Sat 10:00-12:30,Mon-Fri 09:00-17:00", [*NINE_TO_FIVE, Window(5, 600, 750)]),
        ("Sun-Mon 00:00-24:00", [Window(0, 0, 1440), Window(6, 0, 1440)]),
        ("Tue 13:00-17:00, Tue 09:00-13:00", [Window(1, 540, 780), Window(1, 780, 1020)]),
        ("Mon to Fri 9-5", NINE_TO_FIVE),
        ("Monday to Friday 9am to 5pm", NINE_TO_FIVE),
        ("Mon until Fri: 9 a.m. – 5 p.m.", NINE_TO_FIVE),
        ("Mon-Fri 9-17", NINE_TO_FIVE),
        ("Mon, Wed 9-5", [Window(0, 540, 1020), Window(2, 540, 1020)]),
        ("Tue and Thu 9.30am-12pm", [Window(1, 570, 720), Window(3, 570, 720)]),
        ("Mon 9-12 and 13-17", [Window(0, 540, 720), Window(0, 780, 1020)]),
        ("Mon-Tue 9-12, 1pm-5pm", [Window(d, *h) for d in (0, 1) for h in MORNING_AND_AFTERNOON]),
        ("Sat 22:00-00:00", [Window(5, 1320, 1440)]),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, windows: list[Window]) -> None:
    assert parse_windows(text) == tuple(windows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mon", '"Mon" is not days and hours: write them like "Mon-Fri'),
        ("9-17", '"9-17" is not days and hours'),
        ("Mon 9-17 and Tue", '"Tue" is not days and hours'),
        ("Mon 9", '"Mon 9" is not days and hours'),
        ("Mon 9-5-6", '"Mon 9-5-6" is not days and hours'),
        ("Mon 1-5", '"1-5" may be in the morning or in the afternoon: write it like 01:00-05:00'),
        ("Mon 13pm-5pm", "13pm is not a time of day: use 1am up to 12pm"),
        ("Mon 5pm-9am", "does not end after it begins"),
        ("Mon 09:00-17:00,", '"" is not days and hours'),
        ("Mon 09:00-17:00; Tue 09:00-17:00", "is not days and hours"),
        ("Moonday 09:00-17:00", '"Moonday" is not a day: use Mon, Tue'),
        ("Mon-Foo 09:00-17:00", '"Foo" is not a day'),
        ("Mon 09:10-17:00", "09:10 is not on a quarter hour: use 09:00 or 09:15"),
        ("Mon 09:00-16:59", "16:59 is not on a quarter hour: use 16:45 or 17:00"),
        ("Mon 09:00-24:15", "24:15 is not a time of day: use 00:00 up to 24:00"),
        ("Mon 09:60-17:00", "09:60 is not a time of day"),
        ("Mon 17:00-09:00", "Mon 17:00-09:00 does not end after it begins"),
        ("Mon 09:00-09:00", "Mon 09:00-09:00 does not end after it begins"),
        ("Fri 22:00-02:00", "begin the next day at 00:00"),
        (
            "Mon-Fri 09:00-17:00, Wed 16:00-18:00",
            "Wed 09:00-17:00 and Wed 16:00-18:00 overlap",
        ),
        ("Mon 09:00-17:00, Mon 09:00-17:00", "Mon 09:00-17:00 and Mon 09:00-17:00 overlap"),
    ],
)
def test_wrong_hours_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_windows(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("9", "5", "09:00-17:00"),
        ("10", "1", "10:00-13:00"),
        ("12", "5", "12:00-17:00"),
        ("9am", "5", "09:00-17:00"),
        ("1pm", "5:30", "13:00-17:30"),
        ("9", "5pm", "09:00-17:00"),
        ("1", "5 PM", "13:00-17:00"),
        ("11", "2pm", "11:00-14:00"),
        ("05:00", "9pm", "05:00-21:00"),
        ("12am", "12pm", "00:00-12:00"),
        (" 9.30 ", "17", "09:30-17:00"),
        ("22:00", "12am", "22:00-24:00"),
    ],
)
def test_the_likely_half_of_the_day_is_meant(start: str, end: str, hours: str) -> None:
    assert str(window(2, start, end)) == f"Wed {hours}"


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("nine", "5", '"nine" is not a time of day: write it like 09:00 or 5pm'),
        ("", "5", '"" is not a time of day'),
        ("6", "10", '"6-10" may be in the morning or in the afternoon'),
        ("9", "25", "25 is not a time of day: use 00:00 up to 24:00"),
        ("9", "17:75", "17:75 is not a time of day"),
    ],
)
def test_a_time_that_is_none_or_unclear_is_refused_by_name(
    start: str, end: str, message: str
) -> None:
    with pytest.raises(ValueError) as refused:
        window(0, start, end)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(7, 0, 60), "7 is no weekday"),
        (Window(-1, 0, 60), "-1 is no weekday"),
        (Window(0, -15, 60), "is not a time of day"),
        (Window(0, 0, 1455), "24:15 is not a time of day"),
        (Window(0, 7, 60), "00:07 is not on a quarter hour"),
    ],
)
def test_windows_from_other_sources_are_checked_too(window: Window, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        checked([window])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "Mon-Fri 09:00-17:00, Sat 10:00-12:30",
        "Mon-Tue 09:00-12:00, Wed 10:00-12:00, Thu-Fri 09:00-12:00",
        "Sun 00:00-24:00",
        "",
    ],
)
def test_hours_are_written_in_the_shortest_form(text: str) -> None:
    assert format_windows(parse_windows(text)) == text


@st.composite
def weeks(draw: st.DrawFn) -> tuple[Window, ...]:
    """Weekly hours in quarter hours that do not overlap."""
    windows = []
    for day in range(7):
        marks = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
        windows += [
            Window(day, start * 15, end * 15)
            for start, end in zip(marks[::2], marks[1::2], strict=False)
        ]
    return checked(windows)


@given(weeks())
def test_written_hours_are_read_back(windows: tuple[Window, ...]) -> None:
    assert parse_windows(format_windows(windows)) == windows


def test_a_time_that_clocks_skip_is_refused_by_name_with_one_that_exists() -> None:
    with pytest.raises(ValueError, match=r"2027-03-28 and skip 01:30: please give 02:30"):
        local_instant(date(2027, 3, 28), time(1, 30), LONDON)


def test_a_time_that_comes_twice_means_the_first() -> None:
    found = local_instant(date(2026, 10, 25), time(1, 30), LONDON)
    assert found == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "begins"),
    [
        (date(2026, 11, 3), "America/New_York", datetime(2026, 11, 3, 5, tzinfo=UTC)),
        # Clocks in Beirut go from midnight to one o'clock.
        (date(2026, 3, 29), "Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        # In Havana the first hour of this day comes twice.
        (date(2025, 11, 2), "America/Havana", datetime(2025, 11, 2, 4, tzinfo=UTC)),
    ],
)
def test_a_day_begins_with_its_first_instant(day: date, zone: str, begins: datetime) -> None:
    assert day_starts_at(day, ZoneInfo(zone)) == begins

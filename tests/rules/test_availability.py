"""Open times: whole sessions, on the wall clock, in weeks when clocks change too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.rules.availability import (
    NotOpen,
    Span,
    is_listed,
    open_times,
    why_not_open,
)
from app.rules.policy import Policy
from app.rules.weekly_hours import Window, parse_windows

POLICY = Policy()
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
CAIRO = ZoneInfo("Africa/Cairo")
HAVANA = ZoneInfo("America/Havana")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MONDAY = datetime(2027, 1, 11, tzinfo=UTC)
EVERY_HALF_HOUR = [f"{hour:02}:{minute}" for hour in range(24) for minute in ("00", "30")]
NINE_TO_NOON = parse_windows("Mon 09:00-12:00")


def listed_on(text: str, day: str, zone: ZoneInfo, length_minutes: int = 50) -> list[str]:
    """Local starts, with their offsets, that weekly hours give on one local day."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone)
    starts = open_times(
        parse_windows(text),
        zone,
        [],
        length_minutes=length_minutes,
        from_at=midnight.astimezone(UTC),
        until_at=(midnight + DAY).astimezone(UTC),
        now=midnight.astimezone(UTC) - 3 * DAY,
        policy=POLICY,
    )
    return [start.astimezone(zone).strftime("%H:%M%z") for start in starts]


def open_at(
    busy: list[Span],
    *,
    now: datetime = MONDAY - DAY,
    from_at: datetime = MONDAY,
    until_at: datetime = MONDAY + DAY,
    length_minutes: int = 50,
) -> list[str]:
    starts = open_times(
        NINE_TO_NOON,
        LONDON,
        busy,
        length_minutes=length_minutes,
        from_at=from_at,
        until_at=until_at,
        now=now,
        policy=POLICY,
    )
    return [f"{start:%H:%M}" for start in starts]


def reason(start_at: datetime, now: datetime = MONDAY - DAY, **spans: list[Span]) -> NotOpen | None:
    return why_not_open(
        start_at,
        NINE_TO_NOON,
        LONDON,
        held=spans.get("held", []),
        time_off=spans.get("time_off", []),
        length_minutes=50,
        now=now,
        policy=POLICY,
    )


@pytest.mark.parametrize(
    ("text", "length_minutes", "starts"),
    [
        ("Mon 09:00-12:00", 50, ["09:00", "09:30", "10:00", "10:30", "11:00"]),
        ("Mon 09:00-12:00", 30, ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]),
        ("Mon 09:15-10:15", 50, ["09:15"]),
        ("Mon 09:15-10:15", 60, ["09:15"]),
        ("Mon 09:15-10:15", 61, []),
        ("Mon 09:00-09:45", 50, []),
        ("Mon 22:45-24:00", 50, ["22:45"]),
        ("Mon 23:00-24:00", 30, ["23:00", "23:30"]),
        ("Mon 00:00-01:00", 50, ["00:00"]),
        ("Mon 13:00-14:00, Mon 09:45-10:45", 50, ["09:45", "13:00"]),
        ("Tue 09:00-12:00", 50, []),
    ],
)
def test_whole_sessions_start_every_thirty_minutes_from_the_windows_beginning(
    text: str, length_minutes: int, starts: list[str]
) -> None:
    assert listed_on(text, "2027-01-11", LONDON, length_minutes) == [f"{s}+0000" for s in starts]


@pytest.mark.parametrize(
    ("text", "day", "starts"),
    [
        # From one week into the next, from one year into the next, and a month that clocks change.
        ("Sun 22:15-24:00, Mon 00:00-01:00", "2027-01-10", ["22:15", "22:45", "23:15", "23:45"]),
        ("Sun 22:15-24:00, Mon 00:00-01:00", "2027-01-11", []),
        ("Thu 23:30-24:00, Fri 00:00-00:30", "2026-12-31", ["23:30"]),
        ("Thu 23:30-24:00, Fri 00:00-00:15", "2026-12-31", []),
        ("Sat 23:30-24:00, Sun 00:00-00:30", "2027-03-27", ["23:30"]),
    ],
)
def test_windows_that_touch_at_midnight_are_one_window(
    text: str, day: str, starts: list[str]
) -> None:
    assert listed_on(text, day, LONDON) == [f"{each}+0000" for each in starts]


@pytest.mark.parametrize(
    ("zone", "day", "text", "starts"),
    [
        # Clocks skip 01:00-02:00; the hours are two hours long that night, not three.
        (LONDON, "2026-03-29", "Sun 00:00-03:00", ["00:00+0000", "00:30+0000", "02:00+0100"]),
        (LONDON, "2026-03-29", "Sun 00:30-01:30", []),
        (LONDON, "2026-03-29", "Sun 01:00-02:00", []),
        (LONDON, "2026-03-29", "Sun 09:00-10:00", ["09:00+0100"]),
        # Clocks show 01:00-02:00 twice; both are offered.
        (
            LONDON,
            "2026-10-25",
            "Sun 00:30-03:00",
            ["00:30+0100", "01:00+0100", "01:30+0100", "01:00+0000", "01:30+0000", "02:00+0000"],
        ),
        (LONDON, "2026-10-25", "Sun 01:00-01:45", []),
        (LONDON, "2026-10-25", "Sun 00:30-01:30", ["00:30+0100"]),
        (LONDON, "2026-10-25", "Sun 00:00-01:45", ["00:00+0100", "00:30+0100"]),
        (LONDON, "2026-10-25", "Sun 01:00-02:00", ["01:00+0100", "01:30+0100", "01:00+0000"]),
        # 01:45 BST would run into another window, that of 01:00 GMT.
        (
            LONDON,
            "2026-10-25",
            "Sun 00:00-01:15, Sun 01:45-03:00",
            ["00:00+0100", "01:45+0000"],
        ),
        (LONDON, "2026-10-25", "Sun 09:00-10:00", ["09:00+0000"]),
        (NEW_YORK, "2026-03-08", "Sun 01:00-04:00", ["01:00-0500", "01:30-0500", "03:00-0400"]),
        (
            NEW_YORK,
            "2026-11-01",
            "Sun 01:00-02:30",
            ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500"],
        ),
        (NEW_YORK, "2026-11-01", "Sun 23:00-24:00", ["23:00-0500"]),
        # Half an hour is skipped, 02:00-02:30, and shown twice, 01:30-02:00.
        (LORD_HOWE, "2026-10-04", "Sun 01:00-03:30", ["01:00+1030", "01:30+1030", "02:30+1100"]),
        (LORD_HOWE, "2026-10-04", "Sun 01:15-03:15", ["01:15+1030", "01:45+1030"]),
        (LORD_HOWE, "2026-10-04", "Sun 01:15-03:00", ["01:15+1030"]),
        (LORD_HOWE, "2026-10-04", "Sun 02:00-03:00", []),
        (
            LORD_HOWE,
            "2026-04-05",
            "Sun 01:00-03:00",
            ["01:00+1100", "01:30+1100", "01:30+1030", "02:00+1030"],
        ),
        # Midnight itself is skipped, or comes twice.
        (CAIRO, "2026-04-23", "Thu 23:00-24:00", ["23:00+0200"]),
        (CAIRO, "2026-04-24", "Fri 00:00-02:00", ["01:00+0300"]),
        (HAVANA, "2025-11-01", "Sat 23:00-24:00", ["23:00-0400"]),
        (HAVANA, "2025-11-02", "Sun 00:00-01:00", ["00:00-0400", "00:30-0400", "00:00-0500"]),
    ],
)
def test_hours_are_wall_clock_when_clocks_change(
    zone: ZoneInfo, day: str, text: str, starts: list[str]
) -> None:
    assert listed_on(text, day, zone) == starts


def test_both_showings_of_a_wall_clock_time_are_listed() -> None:
    night = parse_windows("Sun 00:30-03:00")
    first, second = (datetime(2026, 10, 25, hour, tzinfo=UTC) for hour in (0, 1))
    listed = [
        is_listed(at, night, LONDON, length_minutes=50, policy=POLICY) for at in (first, second)
    ]
    assert listed == [True, True]


@pytest.mark.parametrize(
    ("text", "day", "starts"),
    [
        ("Mon 09:00-10:15, Mon 10:15-11:15", "2027-01-11", ["09:00", "09:30", "10:00"]),
        # Across midnight, counted from the evening before.
        ("Mon 22:15-24:00, Tue 00:00-02:00", "2027-01-11", ["22:15", "22:45", "23:15", "23:45"]),
        ("Mon 22:15-24:00, Tue 00:00-02:00", "2027-01-12", ["00:15", "00:45"]),
        ("Sun 23:00-24:00, Mon 00:00-01:00", "2027-01-10", ["23:00", "23:30"]),
        ("Sun 23:00-24:00, Mon 00:00-01:00", "2027-01-11", ["00:00"]),
        ("Sun 23:45-24:00, Mon 00:00-00:45", "2027-01-11", []),
        ("Sun 23:45-24:00, Mon 00:00-00:45", "2027-01-10", ["23:45"]),
        # A quarter of an hour in between, and they are two.
        ("Mon 22:15-23:45, Tue 00:00-02:00", "2027-01-12", ["00:00", "00:30", "01:00"]),
        (
            "Mon-Sun 00:00-24:00",
            "2027-01-10",
            [f"{h:02}:{m}" for h in range(24) for m in ("00", "30")],
        ),
        (
            "Tue-Mon 00:00-24:00",
            "2027-01-11",
            [f"{h:02}:{m}" for h in range(24) for m in ("00", "30")],
        ),
    ],
)
def test_windows_that_touch_are_one_window(text: str, day: str, starts: list[str]) -> None:
    assert listed_on(text, day, LONDON) == [f"{start}+0000" for start in starts]


def test_one_window_through_midnight_and_a_change_of_the_clocks() -> None:
    night = "Sat 22:15-24:00, Sun 00:00-03:00"
    autumn = ["00:15+0100", "00:45+0100", "01:15+0100", "01:45+0100", "01:15+0000", "01:45+0000"]
    assert listed_on(night, "2026-10-25", LONDON) == autumn
    assert listed_on(night, "2026-03-29", LONDON) == ["00:15+0000", "00:45+0000"]


@pytest.mark.parametrize(
    ("busy", "starts"),
    [
        ([(9.5, 10.0)], ["10:00", "10:30", "11:00"]),
        ([(8.0, 9.0)], ["09:00", "09:30", "10:00", "10:30", "11:00"]),
        ([(10.0, 10 + 5 / 6)], ["09:00", "11:00"]),
        ([(9 + 5 / 6, 10.5)], ["09:00", "10:30", "11:00"]),
        ([(0.0, 24.0), (9.0, 9.1)], []),
        ([(11.5, 13.0), (8.0, 9.25)], ["09:30", "10:00", "10:30"]),
    ],
)
def test_held_times_and_time_off_leave_gaps(
    busy: list[tuple[float, float]], starts: list[str]
) -> None:
    spans = [(MONDAY + first * HOUR, MONDAY + last * HOUR) for first, last in busy]
    assert open_at(spans) == starts


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        (MONDAY + 5 * HOUR, ["09:00", "09:30", "10:00", "10:30", "11:00"]),
        (MONDAY + 5 * HOUR + SECOND, ["09:30", "10:00", "10:30", "11:00"]),
        (MONDAY + 7 * HOUR, ["11:00"]),
        (MONDAY + 7 * HOUR + SECOND, []),
        (MONDAY - 60 * DAY + 9 * HOUR - SECOND, []),
        (MONDAY - 60 * DAY + 9 * HOUR, ["09:00"]),
        (MONDAY - 60 * DAY + 9 * HOUR + SECOND, ["09:00"]),
    ],
)
def test_notice_of_four_hours_and_sixty_days_are_both_inclusive(
    now: datetime, starts: list[str]
) -> None:
    assert open_at([], now=now) == starts


def test_a_listing_runs_from_its_first_instant_up_to_but_without_its_last() -> None:
    from_at, until_at = MONDAY + 9.5 * HOUR, MONDAY + 11 * HOUR
    assert open_at([], from_at=from_at, until_at=until_at) == ["09:30", "10:00", "10:30"]
    assert open_at([], from_at=until_at, until_at=from_at) == []


def test_open_times_ascend_in_any_order_of_the_windows() -> None:
    starts = open_times(
        [Window(0, 780, 840), Window(0, 540, 600)],
        LONDON,
        [],
        length_minutes=50,
        from_at=MONDAY,
        until_at=MONDAY + DAY,
        now=MONDAY,
        policy=POLICY,
    )
    assert starts == [MONDAY + 9 * HOUR, MONDAY + 13 * HOUR]


def test_open_times_stop_at_the_limit_and_reach_the_last_day() -> None:
    def found(limit: int, now: datetime) -> list[datetime]:
        return open_times(
            NINE_TO_NOON,
            LONDON,
            [(MONDAY, MONDAY + DAY)],
            length_minutes=50,
            from_at=now,
            until_at=now + 61 * DAY,
            now=now,
            policy=POLICY,
            limit=limit,
        )

    assert found(2, MONDAY) == [MONDAY + 7 * DAY + 9 * HOUR, MONDAY + 7 * DAY + 9.5 * HOUR]
    assert found(1000, MONDAY + 10 * DAY + 9 * HOUR)[-1] == MONDAY + 70 * DAY + 9 * HOUR


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (9 * HOUR, None),
        (11 * HOUR, None),
        (9.25 * HOUR, NotOpen.OFF_GRID),
        (9 * HOUR + SECOND, NotOpen.OFF_GRID),
        (timedelta(hours=11, minutes=10), NotOpen.OFF_GRID),
        (timedelta(hours=11, minutes=10, seconds=1), NotOpen.OUTSIDE_AVAILABILITY),
        (11.5 * HOUR, NotOpen.OUTSIDE_AVAILABILITY),
        (8.5 * HOUR, NotOpen.OUTSIDE_AVAILABILITY),
        (DAY + 9 * HOUR, NotOpen.OUTSIDE_AVAILABILITY),
        (-20 * HOUR - SECOND, NotOpen.TOO_SOON),
        (-20 * HOUR, NotOpen.OUTSIDE_AVAILABILITY),
        (59 * DAY, NotOpen.OUTSIDE_AVAILABILITY),
        (59 * DAY + SECOND, NotOpen.TOO_FAR),
    ],
)
def test_the_reason_why_a_start_is_not_open_is_named(after: timedelta, why: NotOpen | None) -> None:
    assert reason(MONDAY + after) is why


def test_hours_are_named_before_time_off_and_time_off_before_a_taken_time() -> None:
    nine, all_day = MONDAY + 9 * HOUR, [(MONDAY, MONDAY + DAY)]
    assert reason(nine, held=all_day) is NotOpen.TAKEN
    assert reason(nine, held=all_day, time_off=all_day) is NotOpen.TIME_OFF
    assert reason(nine + 0.25 * HOUR, held=all_day, time_off=all_day) is NotOpen.OFF_GRID
    assert reason(nine, nine - HOUR, held=all_day) is NotOpen.TOO_SOON
    assert reason(nine, held=[(nine - HOUR, nine), (nine + HOUR, nine + 2 * HOUR)]) is None

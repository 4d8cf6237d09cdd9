"""Open times and held cells: what must hold for any hours, zone and bookings."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.availability import Span, cells, open_times, overlaps, why_not_open
from app.rules.policy import Policy
from app.rules.weekly_hours import Window, checked

POLICY = Policy()
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
CAIRO = ZoneInfo("Africa/Cairo")
HAVANA = ZoneInfo("America/Havana")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
WEEK = 7 * 96  # quarter hours
MONDAY = datetime(2027, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        ("09:00", "09:50", ["09:00", "09:15", "09:30", "09:45"]),
        ("09:00", "10:00", ["09:00", "09:15", "09:30", "09:45"]),
        ("09:10", "09:30", ["09:00", "09:15"]),
        ("09:14", "09:31", ["09:00", "09:15", "09:30"]),
    ],
)
def test_a_session_holds_every_cell_that_it_touches(start: str, end: str, held: list[str]) -> None:
    starts_at, ends_at = (datetime.fromisoformat(f"2027-01-11T{at}Z") for at in (start, end))
    assert [f"{cell:%H:%M}" for cell in cells(starts_at, ends_at, 15)] == held


@given(
    st.integers(-200, 200),
    st.integers(-200, 200),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([5, 15]),
)
def test_cells_are_disjoint_exactly_when_sessions_on_the_grid_are(
    one: int, other: int, one_length: int, other_length: int, cell_minutes: int
) -> None:
    cell = timedelta(minutes=cell_minutes)
    first = (MONDAY + one * cell, MONDAY + (one + one_length) * cell)
    second = (MONDAY + other * cell, MONDAY + (other + other_length) * cell)
    shared = set(cells(*first, cell_minutes)) & set(cells(*second, cell_minutes))
    assert bool(shared) is overlaps(first, second)


@st.composite
def weeks(draw: st.DrawFn) -> tuple[Window, ...]:
    """Hours on every day of the week, in quarter hours."""
    windows = []
    for day in range(7):
        marks = sorted(draw(st.sets(st.integers(0, 96), min_size=2, max_size=4)))
        if len(marks) == 3:
            # Hours that touch those of the next day, more often than chance has it.
            marks[1] = 96
        windows.append(Window(day, marks[0] * 15 if day % 2 else 0, marks[1] * 15))
        if len(marks) == 4:
            windows.append(Window(day, marks[2] * 15, marks[3] * 15))
    return checked(windows)


SPANS = st.tuples(st.integers(0, 9 * 96), st.integers(1, 96)).map(
    lambda at: (MONDAY + at[0] * HOUR / 4, MONDAY + (at[0] + at[1]) * HOUR / 4)
)


@settings(max_examples=60, deadline=None)
@given(
    weeks(),
    st.sampled_from([LONDON, NEW_YORK, LORD_HOWE, CAIRO, HAVANA]),
    st.lists(SPANS, max_size=6),
    st.integers(0, 300),
    st.sampled_from([30, 50]),
)
def test_open_times_are_exactly_the_free_starts_within_hours(
    windows: tuple[Window, ...],
    zone: ZoneInfo,
    busy: list[Span],
    shift_days: int,
    length_minutes: int,
) -> None:
    now = MONDAY + shift_days * DAY
    busy = [(begins + shift_days * DAY, ends + shift_days * DAY) for begins, ends in busy]
    length = timedelta(minutes=length_minutes)
    starts = open_times(
        windows,
        zone,
        busy,
        length_minutes=length_minutes,
        from_at=now,
        until_at=now + 9 * DAY,
        now=now,
        policy=POLICY,
    )
    quarters = [now + index * HOUR / 4 for index in range(9 * 96)]
    assert starts == [
        at
        for at in quarters
        if at >= now + 4 * HOUR
        and is_in_hours(at, length_minutes, windows, zone)
        and not any(overlaps((at, at + length), each) for each in busy)
    ]


def is_in_hours(
    at: datetime, length_minutes: int, windows: tuple[Window, ...], zone: ZoneInfo
) -> bool:
    """Whether the clock shows hours at every moment of a session, and its start is on the grid."""
    covered = {
        each.weekday * 96 + quarter
        for each in windows
        for quarter in range(each.start_minute // 15, each.end_minute // 15)
    }

    def shown(instant: datetime) -> int:
        local = instant.astimezone(zone)
        return local.weekday() * 96 + (local.hour * 60 + local.minute) // 15

    def begins(quarter: int) -> int:
        """The beginning of the window that holds a covered quarter hour."""
        first = quarter
        while (first - 1) % WEEK in covered and (first - 1) % WEEK != quarter:
            first = (first - 1) % WEEK
        return 0 if len(covered) == WEEK else first

    moments = {shown(at + minute * HOUR / 60) for minute in range(0, length_minutes, 15)}
    if not covered.issuperset(moments) or len(set(map(begins, moments))) > 1:
        return False
    return (shown(at) - begins(shown(at))) % WEEK % 2 == 0


@settings(max_examples=40, deadline=None)
@given(
    weeks(),
    st.sampled_from([LONDON, NEW_YORK, LORD_HOWE]),
    st.lists(SPANS, max_size=4),
    st.lists(SPANS, max_size=2),
    st.integers(0, 9 * 96),
)
def test_a_start_is_open_exactly_when_the_listing_has_it(
    windows: tuple[Window, ...],
    zone: ZoneInfo,
    held: list[Span],
    time_off: list[Span],
    quarter: int,
) -> None:
    start_at = MONDAY + quarter * HOUR / 4
    why = why_not_open(
        start_at,
        windows,
        zone,
        held=held,
        time_off=time_off,
        length_minutes=50,
        now=MONDAY,
        policy=POLICY,
    )
    found = open_times(
        windows,
        zone,
        [*held, *time_off],
        length_minutes=50,
        from_at=start_at,
        until_at=start_at + SECOND,
        now=MONDAY,
        policy=POLICY,
    )
    assert (why is None) is (found == [start_at])

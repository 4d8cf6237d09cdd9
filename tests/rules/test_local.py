"""Local days and times as instants, also where clocks change."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from app.rules import local

LONDON = ZoneInfo("Europe/London")


def test_a_time_that_clocks_skip_is_refused_by_name_with_one_that_exists() -> None:
    with pytest.raises(ValueError, match=r"2027-03-28 and skip 01:30: please give 02:30"):
        local.instant(date(2027, 3, 28), time(1, 30), LONDON)


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    found = local.instant(date(2026, 10, 25), time(1, 30), LONDON)
    assert found == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "begins"),
    [
        (date(2026, 11, 3), "America/New_York", datetime(2026, 11, 3, 5, tzinfo=UTC)),
        # Clocks in Beirut go from midnight to one o'clock.
        (date(2026, 3, 29), "Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        # In Havana the first hour of this day comes twice.
        (date(2026, 11, 1), "America/Havana", datetime(2026, 11, 1, 4, tzinfo=UTC)),
    ],
)
def test_a_day_begins_with_its_first_instant(day: date, zone: str, begins: datetime) -> None:
    assert local.begins_at(day, ZoneInfo(zone)) == begins

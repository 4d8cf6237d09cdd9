"""Times, durations and money as their reader sees them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from emails import formatting

LONDON, NEW_YORK, KOLKATA = "Europe/London", "America/New_York", "Asia/Kolkata"


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        (utc(11, 3, 14), LONDON, "Tue 3 Nov 2026, 14:00 (London, GMT)"),
        (utc(11, 3, 14), NEW_YORK, "Tue 3 Nov 2026, 09:00 (New York, EST)"),
        (utc(7, 3, 14), LONDON, "Fri 3 Jul 2026, 15:00 (London, BST)"),
        (utc(11, 3, 14), "UTC", "Tue 3 Nov 2026, 14:00 (UTC)"),
        (utc(11, 3, 20), KOLKATA, "Wed 4 Nov 2026, 01:30 (Kolkata, IST)"),
        (
            utc(11, 3, 14),
            "America/Argentina/Buenos_Aires",
            "Tue 3 Nov 2026, 11:00 (Buenos Aires, UTC-3)",
        ),
        (
            utc(11, 3, 14),
            "Asia/Kathmandu",
            "Tue 3 Nov 2026, 19:45 (Kathmandu, UTC+5:45)",
        ),
        # The week in which New York has changed its clocks and London has not.
        (utc(3, 10, 14), NEW_YORK, "Tue 10 Mar 2026, 10:00 (New York, EDT)"),
        (utc(3, 10, 14), LONDON, "Tue 10 Mar 2026, 14:00 (London, GMT)"),
        # The hour that is repeated in London.
        (utc(10, 25, 0, 30), LONDON, "Sun 25 Oct 2026, 01:30 (London, BST)"),
        (utc(10, 25, 1, 30), LONDON, "Sun 25 Oct 2026, 01:30 (London, GMT)"),
    ],
)
def test_a_date_time_names_the_readers_zone(at: datetime, zone: str, words: str) -> None:
    assert formatting.date_time(at, zone) == words


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        (utc(10, 25, 0), LONDON, "01:00 BST"),
        (utc(10, 25, 0, 59), LONDON, "01:59 BST"),
        (utc(10, 25, 1), LONDON, "01:00 GMT"),
        (utc(10, 25, 2), LONDON, "02:00"),
        (utc(10, 24, 23, 59), LONDON, "00:59"),
        (utc(3, 29, 1), LONDON, "02:00"),
        (utc(4, 4, 15), "Australia/Lord_Howe", "01:30 UTC+10:30"),
    ],
)
def test_a_time_that_clocks_show_twice_is_told_apart(at: datetime, zone: str, words: str) -> None:
    assert formatting.time(at, zone) == words


def test_a_time_range_across_a_clock_change_names_the_zone_of_its_end() -> None:
    start = utc(10, 25, 0, 30)
    end = start + timedelta(minutes=50)
    assert formatting.time_range(start, end, LONDON) == "01:30 BST–01:20 GMT"
    start = utc(3, 29, 0, 30)
    end = start + timedelta(minutes=50)
    assert formatting.time_range(start, end, LONDON) == "00:30–02:20 BST"
    assert formatting.time_range(utc(11, 3, 14), utc(11, 3, 14, 50), LONDON) == "14:00–14:50"


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (6000, "GBP", "£60.00"),
        (5, "GBP", "£0.05"),
        (0, "GBP", "£0.00"),
        (-150, "GBP", "-£1.50"),
        (123456789, "GBP", "£1,234,567.89"),
        (123456, "EUR", "€1,234.56"),
        (123456, "USD", "$1,234.56"),
        (6000, "CHF", "CHF 60.00"),
        (6000, "JPY", "JPY 6,000"),
        (-6000, "JPY", "-JPY 6,000"),
        (6000, "KWD", "KWD 6.000"),
        (6000, "HUF", "HUF 60.00"),
    ],
)
def test_money_has_the_decimals_of_its_currency(minor: int, currency: str, words: str) -> None:
    assert formatting.money(minor, currency) == words


def test_every_currency_is_written_with_its_own_minor_digits() -> None:
    decimals = {
        each: len(formatting.money(1, each).partition(".")[2]) for each in formatting.CURRENCIES
    }
    assert decimals == {each: formatting.minor_digits(each) for each in formatting.CURRENCIES}


def test_a_price_of_nothing_is_free() -> None:
    assert formatting.price(0, "GBP") == "free"
    assert formatting.price(6000, "GBP") == "£60.00"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (24, "24 hours"),
        (0.5, "30 minutes"),
        (1, "1 hour"),
        (1.5, "1 hour 30 minutes"),
        (1 / 60, "1 minute"),
        (0.01, "less than a minute"),
    ],
)
def test_a_duration_is_in_hours_and_minutes(hours: float, words: str) -> None:
    assert formatting.duration(timedelta(hours=hours)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal(10), "10%"),
        (Decimal("12.50"), "12.5%"),
        (Decimal(100), "100%"),
        (Decimal(0), "0%"),
    ],
)
def test_a_percentage_has_no_trailing_zeros(value: Decimal, words: str) -> None:
    assert formatting.percent(value) == words


@pytest.mark.parametrize(
    ("now", "zone", "words"),
    [
        (utc(11, 3, 13), LONDON, "today"),
        (utc(11, 2, 14), LONDON, "tomorrow"),
        (utc(11, 1, 14), LONDON, "on Tue 3 Nov"),
        (utc(11, 3, 3), NEW_YORK, "tomorrow"),
    ],
)
def test_a_relative_day_follows_the_calendar_of_its_zone(
    now: datetime, zone: str, words: str
) -> None:
    assert formatting.relative_day(utc(11, 3, 14), now, zone) == words

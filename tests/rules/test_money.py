"""Money: nothing is lost to rounding, and amounts read and write exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.money import (
    CURRENCIES,
    Split,
    format_money,
    minor_digits,
    parse_amount,
    split_fee,
)
from emails import wording

FEES = st.integers(0, 10**9)
PERCENTS = st.decimals(0, 100, places=3)


@pytest.mark.parametrize(
    ("fee_minor", "percent", "payout_minor", "commission_minor"),
    [
        (6000, "10", 5400, 600),
        (0, "10", 0, 0),
        (4, "10", 4, 0),
        (5, "10", 4, 1),
        (14, "10", 13, 1),
        (15, "10", 13, 2),
        (25, "10", 22, 3),
        (6005, "10", 5404, 601),
        (6000, "12.5", 5250, 750),
        (999, "0", 999, 0),
        (999, "100", 0, 999),
    ],
)
def test_commission_is_rounded_half_up(
    fee_minor: int, percent: str, payout_minor: int, commission_minor: int
) -> None:
    assert split_fee(fee_minor, Decimal(percent)) == Split(payout_minor, commission_minor)


@given(FEES, PERCENTS)
def test_payout_and_commission_are_always_the_fee(fee_minor: int, percent: Decimal) -> None:
    split = split_fee(fee_minor, percent)
    assert split.payout_minor + split.commission_minor == fee_minor
    assert split.payout_minor >= 0 <= split.commission_minor
    assert abs(split.commission_minor - fee_minor * percent / 100) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("60.00", "GBP", 6000),
        ("60", "GBP", 6000),
        ("60.5", "GBP", 6050),
        (" 0.01 ", "GBP", 1),
        ("0", "GBP", 0),
        ("6000", "JPY", 6000),
        ("1.234", "KWD", 1234),
        ("1.2", "KWD", 1200),
    ],
)
def test_an_amount_is_read_in_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sixty",
        "-1.00",
        "+1.00",
        "60.001",
        "1e3",
        "1,000.00",
        "60.",
        ".50",
        "£60",
        "٦٠",
        "99999999",
    ],
)
def test_a_bad_amount_is_refused_with_a_right_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"GBP is digits with at most 2 decimals.*60\.00"):
        parse_amount(text)


def test_yen_have_no_decimals() -> None:
    with pytest.raises(ValueError, match=r"JPY is digits with at most 0 decimals.*example 60$"):
        parse_amount("60.00", "JPY")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (6000, "GBP", "£60.00"),
        (5, "GBP", "£0.05"),
        (-150, "GBP", "-£1.50"),
        (123456789, "EUR", "€1234567.89"),
        (6000, "JPY", "¥6000"),
        (6000, "CHF", "CHF 60.00"),
        (1234, "KWD", "KWD 1.234"),
    ],
)
def test_an_amount_is_written_for_people(minor: int, currency: str, text: str) -> None:
    assert format_money(minor, currency) == text


@given(st.integers(0, 999_999_999), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    minor %= 10 ** (7 + minor_digits(currency))
    digits = format_money(minor, currency).lstrip("£¥KWD ")
    assert parse_amount(digits, currency) == minor


def test_emails_write_every_currency_with_the_decimals_that_pages_give_it() -> None:
    in_emails = {each: len(wording.money(1, each).partition(".")[2]) for each in CURRENCIES}
    assert in_emails == {each: minor_digits(each) for each in CURRENCIES}

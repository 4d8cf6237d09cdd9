"""Commission: nothing is lost to rounding."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.money import Split, split_fee

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

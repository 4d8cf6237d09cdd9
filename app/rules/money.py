"""Taking commission from a fee, in integer minor units."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Split:
    payout_minor: int
    commission_minor: int


def split_fee(fee_minor: int, commission_percent: Decimal) -> Split:
    """Commission is rounded half up to the minor unit; the payout is the rest."""
    exact = Decimal(fee_minor) * commission_percent / 100
    commission_minor = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return Split(fee_minor - commission_minor, commission_minor)

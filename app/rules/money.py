"""Money in integer minor units: reading it, writing it and taking commission from it."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(
    _WITH_THREE_DECIMALS.split(), 3
)
_OTHERS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
    "GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD "
    "LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB "
    "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
CURRENCIES = frozenset(_OTHERS.split()) | set(_DIGITS)
"""The ISO 4217 codes of currencies that people are paid in."""

_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}
_AMOUNT = re.compile(r"([0-9]{1,7})(?:\.([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Split:
    """A fee taken apart; the two parts always add up to it."""

    payout_minor: int
    commission_minor: int


def split_fee(fee_minor: int, commission_percent: Decimal) -> Split:
    """The therapist's and the house's part; commission is rounded half up to the minor unit."""
    exact = Decimal(fee_minor) * commission_percent / 100
    commission_minor = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return Split(fee_minor - commission_minor, commission_minor)


def minor_digits(currency: str) -> int:
    """How many decimals an ISO 4217 currency has: GBP 2, JPY 0, KWD 3."""
    return _DIGITS.get(currency, 2)


def parse_amount(text: str, currency: str = "GBP") -> int:
    """Minor units of an amount such as "60.00"; ValueError says what a right one looks like."""
    digits = minor_digits(currency)
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or len(found[2] or "") > digits:
        example = f"{60:.{digits}f}"
        raise ValueError(
            f"an amount in {currency} is digits with at most {digits} decimals"
            f" and below 10 million, for example {example}"
        )
    return int(found[1] + (found[2] or "").ljust(digits, "0"))


def format_money(minor: int, currency: str) -> str:
    """An amount for people: "£60.00", "¥6000", "CHF 60.00", "-£1.50"."""
    digits = minor_digits(currency)
    amount = f"{Decimal(abs(minor)).scaleb(-digits):.{digits}f}"
    prefix = _SYMBOLS.get(currency, f"{currency} ")
    return f"{'-' if minor < 0 else ''}{prefix}{amount}"

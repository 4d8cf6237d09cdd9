"""Times, durations and money in words, in English: for emails, pages and the command line."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency

LOCALE = Locale("en")

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
# Not Babel's: CLDR gives forints, rupiahs and others no decimals, ISO 4217 gives them two.
_MINOR_DIGITS = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(
    _WITH_THREE_DECIMALS.split(), 3
)
_WITH_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
    "GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD "
    "LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB "
    "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
# The ISO 4217 codes of currencies that people are paid in.
CURRENCIES = frozenset(_WITH_TWO_DECIMALS.split()) | set(_MINOR_DIGITS)

# A bare ¥, A$ or ₹ would be ambiguous; those currencies are written with their code.
_WITH_SYMBOL = frozenset({"GBP", "EUR", "USD"})


def minor_digits(currency: str) -> int:
    """Decimals of an ISO 4217 currency: GBP 2, JPY 0, KWD 3."""
    return _MINOR_DIGITS.get(currency, 2)


# Kept, since each takes tens of microseconds, and an email or page shows the same value several
# times.
@lru_cache(maxsize=1024)
def money(minor: int, currency: str) -> str:
    """`£1,234.50`, `-£1.50`, `CHF 60.00`, `JPY 6,000`, from minor units."""
    digits = minor_digits(currency)
    decimals = f".{'0' * digits}" if digits else ""
    pattern = f"{'¤' if currency in _WITH_SYMBOL else '¤¤ '}#,##0{decimals}"
    amount = Decimal(minor).scaleb(-digits)
    return format_currency(amount, currency, pattern, LOCALE, currency_digits=False)


def price(minor: int, currency: str) -> str:
    """As `money`, but `free` for 0."""
    return money(minor, currency) if minor else "free"


def percent(value: Decimal) -> str:
    """`10%`, `12.5%`."""
    return f"{value.normalize():f}%"


@lru_cache(maxsize=1024)
def time(at: datetime, zone: str) -> str:
    """`14:00`; `01:30 GMT` in an hour that clocks show twice."""
    local = at.astimezone(ZoneInfo(zone))
    shown = _clock(local)
    return f"{shown} {zone_abbreviation(at, zone)}" if _is_shown_twice(local) else shown


def _clock(local: datetime) -> str:
    # Digits need no Babel, and a page of open times has many.
    return local.isoformat()[11:16]


def short_date(at: datetime, zone: str) -> str:
    """`Tue 3 Nov`."""
    return _formatted(at, "EEE d MMM", zone)


def date(at: datetime, zone: str) -> str:
    """`Tue 3 Nov 2026`."""
    return _formatted(at, "EEE d MMM y", zone)


@lru_cache(maxsize=1024)
def date_time(at: datetime, zone: str, named: str = "") -> str:
    """`Tue 3 Nov 2026, 14:00 (London, GMT)`, without the zone where it is `named` already."""
    if zone_name(at, zone) == named:
        return f"{date(at, zone)}, {time(at, zone)}"
    clock = _clock(at.astimezone(ZoneInfo(zone)))
    return f"{date(at, zone)}, {clock} ({zone_name(at, zone)})"


@lru_cache(maxsize=1024)
def time_range(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    """`14:00–14:50`; `01:30 BST–01:20 GMT` if the clocks change in between."""
    end_zone = zone_abbreviation(ends_at, zone)
    has_changed = zone_abbreviation(starts_at, zone) != end_zone
    is_twice = _is_shown_twice(ends_at.astimezone(ZoneInfo(zone)))
    suffix = f" {end_zone}" if has_changed and not is_twice else ""
    return f"{time(starts_at, zone)}–{time(ends_at, zone)}{suffix}"


def relative_day(at: datetime, now: datetime, zone: str) -> str:
    """`today`, `tomorrow` or `on Tue 3 Nov`, by the calendar in that zone."""
    local, today = at.astimezone(ZoneInfo(zone)).date(), now.astimezone(ZoneInfo(zone)).date()
    return {0: "today", 1: "tomorrow"}.get((local - today).days, f"on {short_date(at, zone)}")


def zone_name(at: datetime, zone: str) -> str:
    """`London, GMT`: the zone's city and its abbreviation at that instant; `UTC` for UTC."""
    city = zone.rpartition("/")[2].replace("_", " ")
    abbreviation = zone_abbreviation(at, zone)
    return abbreviation if city == abbreviation else f"{city}, {abbreviation}"


def zone_abbreviation(at: datetime, zone: str) -> str:
    """`GMT`, `EST`; `UTC+5:30` for a zone that has no letters."""
    # Not Babel's: CLDR has no English abbreviations for most zones outside the reader's country.
    local = at.astimezone(ZoneInfo(zone))
    name = local.tzname() or ""
    if not name.startswith(("+", "-")):
        return name
    minutes = int((local.utcoffset() or timedelta(0)).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def is_same_local_time(at: datetime, zone: str, other_zone: str) -> bool:
    offsets = {at.astimezone(ZoneInfo(each)).utcoffset() for each in (zone, other_zone)}
    return len(offsets) == 1


def _is_shown_twice(local: datetime) -> bool:
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def duration(value: timedelta) -> str:
    """`24 hours`, `1 hour 5 minutes`, `less than a minute`; seconds are dropped."""
    hours, minutes = divmod(int(value.total_seconds() // 60), 60)
    parts = [
        f"{number} {unit}" if number == 1 else f"{number} {unit}s"
        for number, unit in ((hours, "hour"), (minutes, "minute"))
        if number
    ]
    return " ".join(parts) or "less than a minute"


@lru_cache(maxsize=1024)
def _formatted(at: datetime, pattern: str, zone: str) -> str:
    return format_datetime(at, pattern, tzinfo=ZoneInfo(zone), locale=LOCALE)

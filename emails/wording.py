"""How times, lengths and money are worded for one reader; in English, whatever the locale."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}
_MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def clock(at: datetime, zone: str) -> str:
    """`14:00` in that zone."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M}"


def day(at: datetime, zone: str) -> str:
    """`Tue 3 Nov` in that zone."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}"


def date(at: datetime, zone: str) -> str:
    """`Tue 3 Nov 2026` in that zone."""
    return f"{day(at, zone)} {at.astimezone(ZoneInfo(zone)).year}"


def zone_name(at: datetime, zone: str) -> str:
    """`London, GMT`, as that zone is called at that instant; `UTC` for UTC."""
    place = zone.rpartition("/")[2].replace("_", " ")
    short = _abbreviation(at, zone)
    return short if place == short else f"{place}, {short}"


def moment(at: datetime, zone: str) -> str:
    """`Tue 3 Nov 2026, 14:00 (London, GMT)`."""
    return f"{date(at, zone)}, {clock(at, zone)} ({zone_name(at, zone)})"


def span(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    """Both clocks joined by a dash; the second names its zone if the clocks change in between."""
    changed = _abbreviation(starts_at, zone) != _abbreviation(ends_at, zone)
    tail = f" {_abbreviation(ends_at, zone)}" if changed else ""
    return f"{clock(starts_at, zone)}–{clock(ends_at, zone)}{tail}"


def is_same_clock(at: datetime, zone: str, other: str) -> bool:
    """Whether clocks and calendars in both zones agree at that instant."""
    return at.astimezone(ZoneInfo(zone)).utcoffset() == at.astimezone(ZoneInfo(other)).utcoffset()


def near_day(at: datetime, now: datetime, zone: str) -> str:
    """`today`, `tomorrow` or `on Tue 3 Nov`, by the reader's calendar."""
    ahead = (at.astimezone(ZoneInfo(zone)).date() - now.astimezone(ZoneInfo(zone)).date()).days
    return {0: "today", 1: "tomorrow"}.get(ahead, f"on {day(at, zone)}")


def length(value: timedelta) -> str:
    """`24 hours`, `30 minutes`, `1 hour 5 minutes`; part minutes are dropped."""
    hours, minutes = divmod(int(value.total_seconds() // 60), 60)
    parts = [
        f"{number} {unit}" if number == 1 else f"{number} {unit}s"
        for number, unit in ((hours, "hour"), (minutes, "minute"))
        if number
    ]
    return " ".join(parts) or "less than a minute"


def money(minor: int, currency: str) -> str:
    """`£60.00`, `CHF 60.00`, `JPY 6,000`: the amount from its minor units; `free` for 0."""
    if minor == 0:
        return "free"
    digits = _MINOR_DIGITS.get(currency, 2)
    amount = f"{Decimal(minor).scaleb(-digits):,.{digits}f}"
    return f"{_SYMBOLS[currency]}{amount}" if currency in _SYMBOLS else f"{currency} {amount}"


def percent(value: Decimal) -> str:
    """`10%`, `12.5%`."""
    return f"{value.normalize():f}%"


def _abbreviation(at: datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    name = local.tzname() or ""
    if name[:1] not in "+-":
        return name
    # Zones without letters call themselves "+0530"; "UTC+5:30" says what that is.
    minutes = int((local.utcoffset() or timedelta(0)).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")

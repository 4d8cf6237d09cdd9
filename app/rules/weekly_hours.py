"""A therapist's weekly hours and how people write them; local days and times as instants."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MIDNIGHT = 24 * 60
_QUARTER = 15
_TIME = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?\s*(?:([ap])\.?m\.?)?", re.IGNORECASE)
_LIKE_A_TIME = r"[0-9][0-9:.]*\s*(?:[ap]\.?m\.?)?"
_TO = r"(?:\s*[-–—]\s*|\s+(?:to|until|through)\s+)"
# Days, hours, or both: what commas and "and" separate.
_PART = re.compile(
    rf"(?:([a-z]+)(?:{_TO}([a-z]+))?)?(?:(?:^|[\s:]+)({_LIKE_A_TIME}){_TO}({_LIKE_A_TIME}))?",
    re.IGNORECASE,
)
_BETWEEN_PARTS = re.compile(r",|\band\b", re.IGNORECASE)
_HALF_A_DAY = 12 * 60
# An hour before this one, without am or pm, may be meant in the afternoon.
_EARLIEST_CLEAR_HOUR = 7
_EXAMPLE = "Mon-Fri 09:00-17:00, Sat 10:00-12:30"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Working hours on a weekday (0 is Monday), in minutes after the therapist's midnight."""

    weekday: int
    start_minute: int
    end_minute: int

    def __str__(self) -> str:
        return f"{DAY_NAMES[self.weekday]} {_hours(self.start_minute, self.end_minute)}"


def checked(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The windows in order. Raises ValueError that says what is wrong and what is right."""
    ordered = sorted(windows)
    for window in ordered:
        _check(window)
    for earlier, later in pairwise(ordered):
        if earlier.weekday == later.weekday and later.start_minute < earlier.end_minute:
            raise ValueError(f"{earlier} and {later} overlap: join them, or end one sooner")
    return tuple(ordered)


def parse_windows(text: str) -> tuple[Window, ...]:
    """Windows of "Mon-Fri 09:00-17:00, Sat 10:00-12:30"; "" for none. Raises ValueError.

    Reads what people write too: "Mon to Fri 9-5", "Tue and Thu 9am to 12pm, 1pm to 5pm".
    """
    if not text.strip():
        return ()
    windows: list[Window] = []
    days: list[int] = []
    # Days whose hours follow in a later part.
    waiting = ""
    for part in (each.strip() for each in _BETWEEN_PARTS.split(text)):
        match = _PART.fullmatch(part)
        if match is None or not part or not (days or match[1]):
            raise _not_days_and_hours(part)
        if match[1]:
            days = [*(days if waiting else []), *_days_from(match[1], match[2])]
        if match[3]:
            windows += [window(day, match[3], match[4]) for day in days]
        waiting = "" if match[3] else part
    if waiting:
        raise _not_days_and_hours(waiting)
    return checked(windows)


def window(weekday: int, start: str, end: str) -> Window:
    """Of times as people write them: "9" and "17:30", "9am" and "5pm". Raises ValueError."""
    start_minute, end_minute = _minutes(_Time.read(start), _Time.read(end))
    return Window(weekday, start_minute, end_minute)


def format_windows(windows: Iterable[Window]) -> str:
    """The text that `parse_windows` reads; neighbouring days with the same hours are joined."""
    days_by_hours: dict[tuple[int, int], list[int]] = {}
    for window in sorted(windows):
        days_by_hours.setdefault((window.start_minute, window.end_minute), []).append(
            window.weekday
        )
    runs = [
        (first, start, last, end)
        for (start, end), days in days_by_hours.items()
        for first, last in _runs(days)
    ]
    return ", ".join(
        f"{_days(first, last)} {_hours(start, end)}" for first, start, last, end in sorted(runs)
    )


def day_starts_at(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, also where clocks skip its midnight; aware UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def local_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Aware UTC, the first of two. Raises ValueError, naming a real time, if clocks skip it."""
    instant = datetime.combine(day, at, zone).astimezone(UTC)
    shown = instant.astimezone(zone)
    if shown.replace(tzinfo=None) != datetime.combine(day, at):
        raise ValueError(
            f"The clocks go forward on {day.isoformat()} and skip {at:%H:%M}:"
            f" please give {shown:%H:%M} instead."
        )
    return instant


def _check(window: Window) -> None:
    if not 0 <= window.weekday <= 6:
        raise ValueError(f"{window.weekday} is no weekday: use 0 for Monday up to 6 for Sunday")
    for minute in (window.start_minute, window.end_minute):
        if not 0 <= minute <= _MIDNIGHT:
            raise ValueError(f"{clock_text(minute)} is not a time of day: use 00:00 up to 24:00")
        if minute % _QUARTER:
            before = minute - minute % _QUARTER
            raise ValueError(
                f"{clock_text(minute)} is not on a quarter hour:"
                f" use {clock_text(before)} or {clock_text(before + _QUARTER)}"
            )
    if window.end_minute <= window.start_minute:
        raise ValueError(
            f"{window} does not end after it begins:"
            " for hours past midnight end at 24:00 and begin the next day at 00:00"
        )


@dataclass(frozen=True, slots=True)
class _Time:
    """A time of day as it was written; `half` is "a", "p" or ""."""

    text: str
    minute: int
    half: str
    is_bare_hour: bool
    is_24_hours: bool

    @classmethod
    def read(cls, text: str) -> Self:
        match = _TIME.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'"{text}" is not a time of day: write it like 09:00 or 5pm')
        hours, minutes, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
        minute = hours * 60 + minutes
        if half and not 1 <= hours <= 12:
            raise ValueError(f"{text} is not a time of day: use 1am up to 12pm")
        if minutes > 59 or minute > _MIDNIGHT:
            raise ValueError(f"{text} is not a time of day: use 00:00 up to 24:00")
        if half:
            minute = minute % _HALF_A_DAY + (_HALF_A_DAY if half == "p" else 0)
        is_24_hours = not half and (match[1].startswith("0") or hours > 12)
        return cls(text, minute, half, not (match[2] or half or is_24_hours), is_24_hours)

    @property
    def later(self) -> int:
        """The minute half a day later."""
        return self.minute + _HALF_A_DAY


def _minutes(start: _Time, end: _Time) -> tuple[int, int]:
    """Minutes after midnight. Where only one time, or none, has am or pm, the likely ones."""
    first, last = start.minute, end.minute or _MIDNIGHT
    if end.half and not (start.half or start.is_24_hours):
        is_same_half = end.half == "p" and first < _HALF_A_DAY and start.later < last
        return (start.later if is_same_half else first), last
    is_open = not (end.half or end.is_24_hours)
    if is_open and last <= first and (start.half or (end.is_bare_hour and not start.is_24_hours)):
        return first, end.later
    if start.is_bare_hour and is_open and start.minute < _EARLIEST_CLEAR_HOUR * 60:
        raise ValueError(
            f'"{start.text}-{end.text}" may be in the morning or in the afternoon: write it like'
            f" {_hours(first, last)}, or with am or pm"
        )
    return first, last


def _days_from(first_name: str, last_name: str | None) -> list[int]:
    first = _weekday(first_name)
    last = first if last_name is None else _weekday(last_name)
    return [(first + index) % 7 for index in range((last - first) % 7 + 1)]


def _not_days_and_hours(part: str) -> ValueError:
    return ValueError(f'"{part}" is not days and hours: write them like "{_EXAMPLE}"')


def _weekday(name: str) -> int:
    for weekday, full in enumerate(_FULL_NAMES):
        if name.lower() in (full[:3], full):
            return weekday
    raise ValueError(f'"{name}" is not a day: use {", ".join(DAY_NAMES)}')


def _runs(days: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _days(first: int, last: int) -> str:
    return DAY_NAMES[first] if first == last else f"{DAY_NAMES[first]}-{DAY_NAMES[last]}"


def _hours(start: int, end: int) -> str:
    return f"{clock_text(start)}-{clock_text(end)}"


def clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"

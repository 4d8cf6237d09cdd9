"""A therapist's weekly hours and how people write them; local days and times as instants."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MIDNIGHT = 24 * 60
_QUARTER = 15
_PART = re.compile(
    r"([A-Za-z]+)(?:\s*[-–]\s*([A-Za-z]+))?\s+"
    r"([0-9]{1,2}:[0-9]{2})\s*[-–]\s*([0-9]{1,2}:[0-9]{2})"
)
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
    """Windows of "Mon-Fri 09:00-17:00, Sat 10:00-12:30"; "" for none. Raises ValueError."""
    if not text.strip():
        return ()
    return checked(window for part in text.split(",") for window in _parse_part(part.strip()))


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
            raise ValueError(f"{_clock(minute)} is not a time of day: use 00:00 up to 24:00")
        if minute % _QUARTER:
            before = minute - minute % _QUARTER
            raise ValueError(
                f"{_clock(minute)} is not on a quarter hour:"
                f" use {_clock(before)} or {_clock(before + _QUARTER)}"
            )
    if window.end_minute <= window.start_minute:
        raise ValueError(
            f"{window} does not end after it begins:"
            " for hours past midnight end at 24:00 and begin the next day at 00:00"
        )


def _parse_part(part: str) -> list[Window]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f'"{part}" is not days and hours: write them like "{_EXAMPLE}"')
    first = _weekday(match[1])
    last = first if match[2] is None else _weekday(match[2])
    start, end = _minute(match[3]), _minute(match[4])
    return [Window((first + index) % 7, start, end) for index in range((last - first) % 7 + 1)]


def _weekday(name: str) -> int:
    for weekday, full in enumerate(_FULL_NAMES):
        if name.lower() in (full[:3], full):
            return weekday
    raise ValueError(f'"{name}" is not a day: use {", ".join(DAY_NAMES)}')


def _minute(text: str) -> int:
    hours, minutes = (int(part) for part in text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _MIDNIGHT:
        raise ValueError(f"{text} is not a time of day: use 00:00 up to 24:00")
    return hours * 60 + minutes


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
    return f"{_clock(start)}-{_clock(end)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"

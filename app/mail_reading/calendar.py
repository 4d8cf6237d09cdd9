"""Calendar parts of a message: which of them is the answer, and what it says."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote

from app.mail_reading import mime
from app.mail_reading.facts import CalendarAnswer
from emails.addresses import email_key

REPLY = "REPLY"
_CALENDAR, _ICS = "text/calendar", "application/ics"
_MOST_LINES = 5000
# An answer may name others; more of them are a meeting's list, and ours has one.
_MOST_ATTENDEES = 50
_LONGEST_COMMENT = 1000
_STAMP = re.compile(r"(\d{8})T(\d{6})Z?", re.ASCII)


@dataclass(slots=True)
class _Event:
    uid: str = ""
    sequence: int = 0
    stamped_at: datetime | None = None
    attendees: list[tuple[str, str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    is_one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    # Where it was found: an announced part before one that only its body tells, then attachments.
    rank: int
    announced: str
    text: str


def read(parts: Iterable[Message]) -> tuple[CalendarAnswer | None, bool]:
    """The answer, and whether there is any calendar part; no answer where parts disagree."""
    found = sorted(filter(None, map(_part, parts)), key=lambda part: part.rank)
    answers = [(part, _read(part.text)) for part in found]
    for part, (method, _) in answers:
        if part.announced and method and part.announced != method:
            return None, True
    replies = [each for each in answers if each[1][0] == REPLY and each[1][1]]
    for _, (method, events) in replies or answers:
        event = next((each for each in events if each.uid), None)
        if event is not None:
            is_plain = len(events) == 1 and not event.is_one_of_many
            return _answer(method, event, is_plain=is_plain), True
    return None, bool(found)


def _part(part: Message) -> _Part | None:
    kind, name = part.get_content_type(), mime.filename(part).lower()
    if kind == _CALENDAR:
        announced = str(mime.parameter(part, "method")).strip().upper()
        return _Part(0 if announced == REPLY else 1, announced, mime.text_of(part))
    if kind == _ICS or name.endswith(".ics"):
        announced = str(mime.parameter(part, "method")).strip().upper()
        return _Part(2, announced, mime.text_of(part))
    return None


def _answer(method: str, event: _Event, *, is_plain: bool) -> CalendarAnswer:
    return CalendarAnswer(
        is_plain=is_plain and len(event.attendees) <= _MOST_ATTENDEES,
        method=method,
        uid=event.uid,
        sequence=event.sequence,
        stamped_at=event.stamped_at,
        attendees=tuple(event.attendees),
        # Some write it in two places.
        comment="\n".join(dict.fromkeys(event.comments)).strip()[:_LONGEST_COMMENT],
    )


def _read(text: str) -> tuple[str, list[_Event]]:
    """The method of a calendar, and its events."""
    method, events, inside = "", list[_Event](), list[str]()
    for name, parameters, value in _lines(text):
        if name == "BEGIN":
            inside.append(value.upper())
            if inside[-1] == "VEVENT":
                events.append(_Event())
        elif name == "END":
            inside = inside[:-1]
        elif name == "METHOD" and inside[1:] == []:
            method = value.strip().upper()
        elif inside[-1:] == ["VEVENT"]:
            _set(events[-1], name, parameters, value)
    return method, events


def _lines(text: str) -> Iterator[tuple[str, Any, str]]:
    # Imported when an email came, because it takes a moment.
    from icalendar.parser import Contentlines  # noqa: PLC0415

    lines: Any = Contentlines
    for line in lines.from_ical(text.lstrip("\ufeff"))[:_MOST_LINES]:
        if not line:
            continue
        try:
            name, parameters, value = line.parts()
        # One line that is not iCalendar says nothing of the others.
        except (ValueError, TypeError):
            continue
        yield name.upper(), parameters, str(value)


def _set(event: _Event, name: str, parameters: Any, value: str) -> None:
    match name:
        case "UID":
            event.uid = value.strip()
        case "SEQUENCE":
            digits = value.strip()
            event.sequence = int(digits) if re.fullmatch(r"\d{1,9}", digits, re.ASCII) else -1
        case "DTSTAMP":
            event.stamped_at = _instant(value.strip())
        case "RECURRENCE-ID" | "RRULE":
            event.is_one_of_many = True
        case "COMMENT":
            event.comments.append(value.strip())
        case "ATTENDEE":
            address = re.sub(r"(?i)^\s*mailto:", "", value).strip()
            stat = str(parameters.get("PARTSTAT") or "NEEDS-ACTION").upper()
            event.attendees.append((email_key(unquote(address)), stat))
            if note := parameters.get("X-RESPONSE-COMMENT"):
                event.comments.append(str(note).strip())


def _instant(value: str) -> datetime | None:
    if not _STAMP.fullmatch(value):
        return None
    try:
        return datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None

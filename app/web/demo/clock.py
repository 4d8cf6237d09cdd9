"""The demo's clock panel: moving the clock forward, the next event, and what happened since."""

import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

from app import clock
from app.store import queries
from app.store.models import OutboxEmail, TimelineEntry
from app.store.queries import demo

STEPS = {"1h": timedelta(hours=1), "3h": timedelta(hours=3), "1d": timedelta(days=1)}
TO_NEXT_EVENT = "next"
_EVENTS_SHOWN = 24
# Seconds after a move in which the scheduler still catches up.
_SETTLES_AFTER_S = 8


@dataclass(frozen=True, slots=True)
class Event:
    """`booking` is a reference."""

    at: datetime
    text: str
    booking: str | None


@dataclass(frozen=True, slots=True)
class Panel:
    """`ahead`: of real time. `moved_from`: before the last move. `is_settling`: just moved."""

    now: datetime
    ahead: timedelta
    next_due_at: datetime | None
    moved_from: datetime | None
    is_settling: bool
    events: list[Event]


def panel(folder: Path, now: datetime) -> Panel:
    moved_from = _moved_from(folder)
    return Panel(
        now=now,
        ahead=clock.offset(),
        next_due_at=demo.next_due_at(now),
        moved_from=moved_from,
        is_settling=moved_from is not None and _seconds_since_move(folder) < _SETTLES_AFTER_S,
        events=_events_since(moved_from) if moved_from else [],
    )


def move(folder: Path, step: str, now: datetime) -> bool:
    """By one of STEPS, or to a second after the next event. False if there is none."""
    by = STEPS.get(step, timedelta(0))
    if step == TO_NEXT_EVENT and (due_at := demo.next_due_at(now)):
        by = due_at + timedelta(seconds=1) - now
    if by <= timedelta(0):
        return False
    _replace(folder / "moved_from", now.isoformat())
    _replace(folder / "clock", str(ceil((clock.offset() + by).total_seconds())))
    return True


def _replace(path: Path, text: str) -> None:
    # Other processes read these files at any moment and must not see a half-written one.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)  # noqa: PTH105 - the name is a str


def _moved_from(folder: Path) -> datetime | None:
    try:
        return datetime.fromisoformat((folder / "moved_from").read_text("ascii")).astimezone(UTC)
    except FileNotFoundError:
        return None


def _seconds_since_move(folder: Path) -> float:
    return time.time() - (folder / "moved_from").stat().st_mtime


def _events_since(moved_from: datetime) -> list[Event]:
    newest = demo.newest_timeline_entries(_EVENTS_SHOWN)
    moves = [_timeline_event(entry) for entry in newest if entry.at > moved_from]
    written = queries.find_emails(queries.EmailFilters(), limit=_EVENTS_SHOWN)
    emails = [_email_event(email) for email in written if email.created_at > moved_from]
    return sorted([*moves, *emails], key=lambda event: event.at)[-_EVENTS_SHOWN:]


def _timeline_event(entry: TimelineEntry) -> Event:
    text = f"{entry.event.replace('_', ' ')}, by {entry.by} ({entry.via})"
    return Event(entry.at, text, entry.booking.reference)


def _email_event(email: OutboxEmail) -> Event:
    error = f": {email.last_error}" if email.last_error else ""
    text = f"email {email.kind} to {email.role}, {email.status}{error}"
    booking = email.about if email.booking_id else None
    return Event(email.settled_at or email.created_at, text, booking)

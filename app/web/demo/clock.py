"""The demo's clock: what it shows, how far it can be moved, and what happened since it was."""

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from time import time

from app import clock
from app.store import queries
from app.store.models import OutboxEmail, TimelineEntry
from app.store.queries import demo

STEPS = {"1h": timedelta(hours=1), "3h": timedelta(hours=3), "1d": timedelta(days=1)}
TO_NEXT = "next"
_SHOWN = 24
_SETTLING_S = 8


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened: when, what, about which booking (its reference, or None)."""

    at: datetime
    what: str
    booking: str | None


@dataclass(frozen=True, slots=True)
class Panel:
    """What the clock shows: the demo's time, how far that is ahead, what comes, what came.

    `moved_from` is what it showed before it was last moved, None if it never was; `is_settling`
    says that this was only seconds ago.
    """

    now: datetime
    ahead: timedelta
    next_due_at: datetime | None
    moved_from: datetime | None
    is_settling: bool
    happenings: list[Happening]


def panel(folder: Path, now: datetime) -> Panel:
    """The clock of the demo that lives in `folder`."""
    moved_from = _moved_from(folder)
    return Panel(
        now=now,
        ahead=clock.offset(),
        next_due_at=demo.next_due_at(now),
        moved_from=moved_from,
        is_settling=moved_from is not None and _seconds_since_move(folder) < _SETTLING_S,
        happenings=_since(moved_from) if moved_from else [],
    )


def move(folder: Path, step: str, now: datetime) -> bool:
    """Move the whole demo forward by a key of STEPS or to one second past the next thing due.

    False, and nothing is moved, for any other step or where nothing is due.
    """
    if step == TO_NEXT:
        due_at = demo.next_due_at(now)
        by = due_at + timedelta(seconds=1) - now if due_at else timedelta(0)
    else:
        by = STEPS.get(step, timedelta(0))
    if by <= timedelta(0):
        return False
    _replace(folder / "moved_from", now.isoformat())
    _replace(folder / "clock", str(ceil((clock.offset() + by).total_seconds())))
    return True


def _replace(path: Path, text: str) -> None:
    """Every process reads these files all the time, so that each sees the old text or the new."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as fresh:
        fresh.write(text)
    os.replace(fresh.name, path)  # noqa: PTH105 - the temporary file's name is a plain text


def _moved_from(folder: Path) -> datetime | None:
    try:
        return datetime.fromisoformat((folder / "moved_from").read_text("ascii")).astimezone(UTC)
    except FileNotFoundError:
        return None


def _seconds_since_move(folder: Path) -> float:
    return time() - (folder / "moved_from").stat().st_mtime


def _since(moved_from: datetime) -> list[Happening]:
    """What was written after the move, the oldest first."""
    lines = [_line(line) for line in demo.newest_timeline_entries(_SHOWN) if line.at > moved_from]
    written = queries.newest_emails(None, _SHOWN)
    emails = [_email(email) for email in written if email.created_at > moved_from]
    return sorted([*lines, *emails], key=lambda happening: happening.at)[-_SHOWN:]


def _line(line: TimelineEntry) -> Happening:
    words = line.event.replace("_", " ")
    return Happening(line.at, f"{words}, by {line.by} ({line.via})", line.booking.reference)


def _email(email: OutboxEmail) -> Happening:
    why = f": {email.last_error}" if email.last_error else ""
    what = f"email {email.kind} to {email.role}, {email.status}{why}"
    about = email.about if email.booking_id else None
    return Happening(email.settled_at or email.created_at, what, about)

"""The only call to the wall clock; everything else is told the time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

_offset_file: Path | None = None


def follow(offset_file: Path | None) -> None:
    """Shift every later `now()` by the seconds written in `offset_file` (the demo's clock)."""
    global _offset_file  # noqa: PLW0603 - a process has one clock
    _offset_file = offset_file


def offset() -> timedelta:
    """How far this process's clock is ahead of the machine's."""
    if _offset_file is None or not _offset_file.exists():
        return timedelta(0)
    return timedelta(seconds=int(_offset_file.read_text("ascii").strip() or 0))


def now() -> datetime:
    """The present instant, aware UTC."""
    return datetime.now(UTC) + offset()

"""The only reader of the system clock; everything else gets `now` as an argument."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

_offset_file: Path | None = None


def follow(offset_file: Path | None) -> None:
    """Add the seconds written in `offset_file` to every later `now()`: the demo's moving clock."""
    global _offset_file  # noqa: PLW0603 - a process has one clock
    _offset_file = offset_file


def offset() -> timedelta:
    """How far `now()` is ahead of the system clock."""
    if _offset_file is None or not _offset_file.exists():
        return timedelta(0)
    return timedelta(seconds=int(_offset_file.read_text("ascii").strip() or 0))


def now() -> datetime:
    """Aware UTC."""
    return datetime.now(UTC) + offset()

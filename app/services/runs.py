"""What one run of a scheduled job came to."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Run:
    """How much was due, done and failed; `oldest_at` is since when the most overdue was due."""

    due: int = 0
    done: int = 0
    failed: int = 0
    oldest_at: datetime | None = None

    def __add__(self, other: "Run") -> "Run":
        oldest = [run.oldest_at for run in (self, other) if run.oldest_at is not None]
        return Run(
            self.due + other.due,
            self.done + other.done,
            self.failed + other.failed,
            min(oldest, default=None),
        )


Parts = Generator[Run, None, None]
"""A run as it goes on, a part at a time; between two parts all is whole, and it may be closed."""


def total(parts: Iterable[Run]) -> Run:
    """What all parts came to."""
    return sum(parts, Run())

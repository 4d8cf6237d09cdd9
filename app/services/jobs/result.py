"""What one run of a scheduled job came to."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobResult:
    """How much was due, done and failed; `oldest_at` is since when the most overdue was due.

    `refused` is how many of those that failed did so by no fault of the house: a mail server would
    not have them.
    """

    due: int = 0
    done: int = 0
    failed: int = 0
    oldest_at: datetime | None = None
    refused: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether something failed by a fault of the house."""
        return self.failed > self.refused

    def __add__(self, other: "JobResult") -> "JobResult":
        oldest = [run.oldest_at for run in (self, other) if run.oldest_at is not None]
        return JobResult(
            self.due + other.due,
            self.done + other.done,
            self.failed + other.failed,
            min(oldest, default=None),
            self.refused + other.refused,
        )


PartialResults = Generator[JobResult, None, None]
"""A run as it goes on, a part at a time; between two parts all is whole, and it may be closed."""

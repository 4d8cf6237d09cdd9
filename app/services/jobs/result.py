"""What a scheduled job is, and what one run of it did."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobResult:
    due: int = 0
    done: int = 0
    failed: int = 0
    # Since when the most overdue item had been due.
    oldest_at: datetime | None = None
    # Those of `failed` that a mail server refused: no fault of the system.
    refused: int = 0

    @property
    def has_failed(self) -> bool:
        return self.failed > self.refused

    def __add__(self, other: "JobResult") -> "JobResult":
        oldest = [result.oldest_at for result in (self, other) if result.oldest_at is not None]
        return JobResult(
            self.due + other.due,
            self.done + other.done,
            self.failed + other.failed,
            min(oldest, default=None),
            self.refused + other.refused,
        )


# A run yields a result for each part of its work. Between two parts everything is committed, so it
# may be closed there.
PartialResults = Generator[JobResult, None, None]


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    every_s: float
    work: Callable[[datetime], PartialResults]
    # How many runs may overlap in one process.
    at_once: int = 1
    # Seconds without progress before a run counts as hung, where that is longer than usual.
    patience_s: float = 0.0

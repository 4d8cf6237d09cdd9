"""What a scheduled job is, and what one run of it did."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobResult:
    """`oldest_at`: since when its most overdue item had been due."""

    # `refused` counts those of `failed` that a mail server refused: no fault of the system.

    due: int = 0
    done: int = 0
    failed: int = 0
    oldest_at: datetime | None = None
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
    """`at_once`: runs that may overlap. `patience_s`: seconds until a silent run is hung."""

    name: str
    every_s: float
    work: Callable[[datetime], PartialResults]
    at_once: int = 1
    patience_s: float = 0.0

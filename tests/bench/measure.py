"""Times calls: rate, median and p99."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TypeVar

T = TypeVar("T")
Row = tuple[str, ...]


@dataclass
class Times:
    """How long each call took, and all calls together."""

    each_ms: list[float] = field(default_factory=list)
    whole_s: float = 0

    @property
    def per_second(self) -> float:
        return len(self.each_ms) / self.whole_s

    @property
    def median_ms(self) -> float:
        return quantiles(self.each_ms, n=100)[49]

    @property
    def p99_ms(self) -> float:
        return quantiles(self.each_ms, n=100)[98]

    @property
    def cells(self) -> Row:
        return f"{self.per_second:,.0f}", f"{self.median_ms:.1f}", f"{self.p99_ms:.1f}"

    def add(self, act: Callable[[T], object], things: Sequence[T], threads: int) -> None:
        """Call `act` with each thing, in so many threads."""

        def timed(thing: T) -> float:
            began = time.perf_counter()
            act(thing)
            return (time.perf_counter() - began) * 1000

        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            self.each_ms += pool.map(timed, things)
        self.whole_s += time.perf_counter() - began


def measured(name: str, act: Callable[[T], object], things: Sequence[T], threads: int = 1) -> Row:
    """A row with calls a second, median and p99."""
    times = Times()
    times.add(act, things, threads)
    return name, *times.cells

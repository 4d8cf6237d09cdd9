"""A figure: what was measured, its floor in the same rounds, and what it must be."""

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

IS_QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if IS_QUICK else 3

COLUMNS = ("measured", "floor", "ratio", "must", "goal", "")
VERDICTS = ("misses must", "must", "goal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Medians of the rounds. `must` and `goal` are about the ratio where there is a floor."""

    database: str
    name: str
    unit: str
    measured: float
    # What the machine gives at most, or what is compared with.
    floor: float | None = None
    ratio: float | None = None
    must: float
    goal: float
    is_more_better: bool = True

    @property
    def judged(self) -> float:
        return self.measured if self.ratio is None else self.ratio

    @property
    def unit_of_judged(self) -> str:
        return f" {self.unit}" if self.ratio is None and self.unit else ""

    @property
    def title(self) -> str:
        """Its name without what was measured, the same for each database."""
        return re.sub(r" \([\d,]+ ms\)", "", self.name)

    def times_must(self, value: float) -> float:
        """How many times better than it must be; 1 or more reaches it."""
        times = value / self.must if self.is_more_better else self.must / max(value, 1e-9)
        return max(times, 0)

    @property
    def verdict(self) -> str:
        sign = 1 if self.is_more_better else -1
        bounds = self.must, self.goal
        return VERDICTS[sum(sign * self.judged >= sign * bound for bound in bounds)]

    @property
    def cells(self) -> tuple[str, ...]:
        sign = "" if self.is_more_better else "≤ "
        return (
            f"{shown(self.measured)} {self.unit}",
            "" if self.floor is None else shown(self.floor),
            "" if self.ratio is None else shown(self.ratio),
            f"{sign}{shown(self.must)}",
            f"{sign}{shown(self.goal)}",
            self.verdict,
        )


def at_most(
    database: str, name: str, unit: str, measured: float, must: float, goal: float
) -> Figure:
    """Of what has no floor, and is better the less it is."""
    return Figure(
        database=database,
        name=name,
        unit=unit,
        measured=measured,
        must=must,
        goal=goal,
        is_more_better=False,
    )


def compared(
    measure: Callable[[], float],
    floor: Callable[[], float],
    *,
    rounds: int = ROUNDS,
) -> tuple[float, float, float]:
    """What both give and the ratio, medians of rounds in which they take turns."""
    pairs = [(floor(), measure()) for _ in range(rounds)]
    return (
        median(measured for _, measured in pairs),
        median(under for under, _ in pairs),
        median(measured / under for under, measured in pairs),
    )


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    table = Table("figure", title=title, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for figure in figures:
        table.add_row(figure.name, *figure.cells)
    console.print(table)


def read(path: Path) -> list[Figure]:
    """What `write` wrote."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    for row in rows:
        del row["verdict"]
    return [Figure(**row) for row in rows]


def write(path: Path, figures: Iterable[Figure]) -> None:
    rows = [asdict(figure) | {"verdict": figure.verdict} for figure in figures]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

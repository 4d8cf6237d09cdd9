"""The small picture of the Ranking page: where its bars stand, in the units of its own drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.rules.answer_history import Week

STEP, BAR, HEIGHT, FOOT = 26, 18, 120, 22
KINDS = ("on_time", "late", "declined", "expired")


@dataclass(frozen=True, slots=True)
class Block:
    """One stretch of a bar: enquiries of one kind in one week."""

    kind: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """A month's name under the first of its weeks."""

    x: int
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of so many units by so many, with a bar of blocks for every week."""

    width: int
    height: int
    blocks: list[Block]
    labels: list[Label]


def of(weeks: Sequence[Week]) -> Chart:
    """The picture of those weeks: the tallest bar is as tall as the drawing."""
    most = max((week.total for week in weeks), default=0) or 1
    blocks, labels = [], []
    for index, week in enumerate(weeks):
        foot, x = float(HEIGHT), index * STEP + (STEP - BAR) // 2
        for kind in KINDS:
            height = getattr(week, kind) * HEIGHT / most
            foot -= height
            if height:
                blocks.append(Block(kind, x, round(foot, 1), round(height, 1)))
        if index == 0 or week.starts_on.month != weeks[index - 1].starts_on.month:
            labels.append(Label(x, f"{week.starts_on:%b}"))
    return Chart(len(weeks) * STEP, HEIGHT + FOOT, blocks, labels)

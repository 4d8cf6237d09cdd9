"""One picture of all figures: each as a multiple of what it must reach, beside its goal."""

from collections.abc import Iterator, Sequence
from math import log2
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.figure import Figure, shown

_ROW, _TOP, _LEFT, _PLOT, _WIDTH = 24, 78, 500, 330, 1000
_VALUES = _LEFT + _PLOT + 24
# The axis, in doublings of what must be reached; what lies beyond is drawn at its end.
_LEAST, _MOST = -2, 5
_MARKS = {"SQLite": "circle", "PostgreSQL": "diamond"}
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2a2e}
.title{font-size:15px;font-weight:600}
.small{font-size:11px}
.grid{stroke:#8a9a9e;stroke-opacity:.35}
.must{stroke:#b3261e;stroke-width:1.5}
.missed{fill:#b3261e;fill-opacity:.07}
.goal{stroke:#2e7d4f;stroke-width:3}
.circle{fill:#1565a8}
.diamond{fill:#c77700}
@media(prefers-color-scheme:dark){
text{fill:#e6ecee}
.must{stroke:#ff8a80}
.missed{fill:#ff8a80;fill-opacity:.1}
.goal{stroke:#6fd39b}
.circle{fill:#7cc0ff}
.diamond{fill:#ffb74d}
}
"""


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Each figure's databases in one row."""
    rows: dict[str, list[Figure]] = {}
    for figure in figures:
        rows.setdefault(figure.title, []).append(figure)
    bottom = _TOP + _ROW * len(rows)
    label = "How fast: each figure of make bench as a multiple of what it must reach"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 14}" role="img"'
        f' aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        *_axis(bottom),
        *[
            line
            for number, (title, row) in enumerate(rows.items())
            for line in _row(title, row, _TOP + _ROW * number + _ROW // 2)
        ],
        "</svg>\n",
    ]
    path.write_text("\n".join(lines))


def _axis(bottom: int) -> Iterator[str]:
    yield '<text class="title" x="0" y="18">How fast: as a multiple of what each must reach</text>'
    yield f'<text class="small" x="{_VALUES}" y="{_TOP - 26}">measured</text>'
    yield from _mark("circle", 6, 38)
    yield '<text x="16" y="43">SQLite</text>'
    yield from _mark("diamond", 76, 38)
    yield '<text x="86" y="43">PostgreSQL</text>'
    yield '<line class="goal" x1="172" x2="172" y1="31" y2="45"/><text x="180" y="43">goal</text>'
    yield (
        f'<rect class="missed" x="{_LEFT}" y="{_TOP}" width="{_x(1) - _LEFT:.0f}"'
        f' height="{bottom - _TOP}"/>'
    )
    for doubling in range(_LEAST, _MOST + 1):
        x, kind = _x(2.0**doubling), "grid" if doubling else "must"
        yield f'<line class="{kind}" x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP}" y2="{bottom}"/>'
        name = f"{2.0**doubling:g}×" if doubling else "must"
        yield (f'<text class="small" x="{x:.0f}" y="{_TOP - 8}" text-anchor="middle">{name}</text>')


def _row(title: str, figures: Sequence[Figure], y: int) -> Iterator[str]:
    yield f'<text x="0" y="{y + 4}">{escape(title)}</text>'
    for goal_x in sorted({round(_x(each.times_must(each.goal))) for each in figures}):
        yield f'<line class="goal" x1="{goal_x}" x2="{goal_x}" y1="{y - 8}" y2="{y + 8}"/>'
    for figure in figures:
        x = _x(figure.times_must(figure.judged))
        yield from _mark(_MARKS[figure.database], round(x), y)
    values = " · ".join(shown(each.judged) for each in figures) + figures[0].unit_of_judged
    yield f'<text x="{_VALUES}" y="{y + 4}">{escape(values)}</text>'


def _mark(kind: str, x: int, y: int) -> Iterator[str]:
    if kind == "circle":
        yield f'<circle class="circle" cx="{x}" cy="{y}" r="5"/>'
    else:
        yield f'<path class="diamond" d="M{x} {y - 6}l6 6l-6 6l-6 -6z"/>'


def _x(times_must: float) -> float:
    doublings = min(max(log2(max(times_must, 1e-9)), _LEAST), _MOST)
    return _LEFT + _PLOT * (doublings - _LEAST) / (_MOST - _LEAST)

"""One picture of the ratios: each figure beside what it must reach and its goal."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.figure import Figure

_ROW, _TOP, _NAME, _BAR, _WIDTH = 22, 44, 430, 300, 950
# A bar is full at twice the goal.
_FULL = 2.0
_COLOURS = {"misses must": "#b3261e", "must": "#c77700", "goal": "#2e7d4f"}
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2a2e}"
    ".axis{stroke:#1f2a2e;stroke-dasharray:3 3;opacity:.6}"
    "@media(prefers-color-scheme:dark){text{fill:#e6ecee}.axis{stroke:#e6ecee}}"
)


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Draw each figure's part of its goal; a dashed line is the goal."""
    rows = [figure for figure in figures if figure.ratio is not None and figure.is_more_better]
    height = _TOP + _ROW * len(rows) + 12
    goal_x = _NAME + _BAR / _FULL
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-label="Ratios of make bench"><style>{_STYLE}</style>',
        '<text x="0" y="18">Measured ÷ its floor in the same run</text>',
        f'<text x="{goal_x:.0f}" y="34" text-anchor="middle">goal</text>',
        *[_bar(figure, _TOP + _ROW * number) for number, figure in enumerate(rows)],
        f'<line class="axis" x1="{goal_x:.0f}" x2="{goal_x:.0f}" y1="{_TOP}" y2="{height - 8}"/>',
        "</svg>\n",
    ]
    path.write_text("\n".join(parts))


def _bar(figure: Figure, y: int) -> str:
    assert figure.ratio is not None
    width = max(1.0, min(figure.ratio / figure.goal, _FULL) / _FULL * _BAR)
    name = escape(f"{figure.database}: {figure.name}")
    shown = f"{figure.ratio:.2g} (must {figure.must:g}, goal {figure.goal:g})"
    return (
        f'<text x="0" y="{y + 14}">{name}</text>'
        f'<rect x="{_NAME}" y="{y + 3}" width="{width:.0f}" height="14" rx="3"'
        f' fill="{_COLOURS[figure.verdict]}"/>'
        f'<text x="{_NAME + _BAR + 10}" y="{y + 14}">{shown}</text>'
    )

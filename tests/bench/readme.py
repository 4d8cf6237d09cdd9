"""`python -m tests.bench.readme`: the chart in `docs` and README's figures, from bench.json."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import chart, figure
from tests.bench.figure import Figure, shown
from tests.harness.processes import ROOT

CHART, README = Path("docs/speed.svg"), Path("README.md")
_SECTION = re.compile(r"(?<=\n## How fast\n\n).*?(?=\n## )", re.DOTALL)
_WORDS = """\
`make bench` on two cores with SQLite; ratios are to what the machine gives at most.

![Chart: multiples of what must be reached](docs/speed.svg)

- Accept by link: {accept.rate} a second, {accept.ratio} of its bare statements;
  a request over the API {request.rate}, {request.ratio}.
- One scheduler (two processes): {email.rate} emails a second, {email.ratio} times Flask-Mail;
  {far.ratio} times at 20 ms.
- Find a Therapist: {find.rate} a second, {find.ratio} of a bare Flask page;
  a therapist's page {page.ratio}.
- Home, My Sessions, Earnings: 5,000 bookings take {growth} times as long as 50.
- What one machine carries, and when to add more: [operations](docs/operations.md#run-it).
"""
_FIGURES = {
    "accept": "accept by link ÷",
    "request": "request by API ÷",
    "email": "emails of one scheduler at 0 ms",
    "far": "emails of one scheduler at 20 ms",
    "find": "Find a Therapist",
    "page": "therapist page",
}


class Words(NamedTuple):
    rate: str
    ratio: str


def words(figures: Sequence[Figure]) -> str:
    """README's section, with the figures of SQLite."""
    own = [each for each in figures if each.database == "SQLite" and each.ratio is not None]

    def of(beginning: str) -> Words:
        found = next(each for each in own if each.name.startswith(beginning))
        return Words(shown(found.measured), shown(found.judged))

    grown = [each.judged for each in own if each.name.startswith(("Home", "My ", "Earnings"))]
    return _WORDS.format(
        growth=f"{min(grown):.2g} to {max(grown):.2g}",
        **{name: of(beginning) for name, beginning in _FIGURES.items()},
    )


def main() -> None:
    figures = figure.read(ROOT / "bench.json")
    chart.write(ROOT / CHART, figures)
    text = (ROOT / README).read_text()
    (ROOT / README).write_text(_SECTION.sub(lambda _: words(figures), text))


if __name__ == "__main__":
    main()

"""`make bench`: how fast it is on this machine, on SQLite and on PostgreSQL.

`QUICK=1` measures each figure once and less of it.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import (
    chart,
    delivery,
    pages,
    paths,
    scheduling,
    slow_smtp,
    startup,
    strangers,
    web,
)
from tests.bench.databases import PLACES, Place
from tests.bench.figure import IS_QUICK, Figure, show, write
from tests.bench.measure import Row

TIMES = ("per second", "median ms", "p99 ms")
PATHS = ("what", *TIMES)
MISBEHAVING = ("mail server", *TIMES, "speed / well", "median / well")
TOLD_APART = ("form", "addresses told apart best", "AUC (0.5: not at all)")
RESULTS, PICTURE = Path("bench.json"), Path("bench.svg")

# Each measures figures on an empty database, and has a folder for other files.
PARTS: tuple[Callable[[str, str, Path], Iterator[Figure]], ...] = (
    web.figures,
    pages.figures,
    startup.figures,
    delivery.figures,
    scheduling.figures,
)

console = Console(width=150)


@contextmanager
def started(place: Place) -> Iterator[tuple[str, Path]]:
    """The address of an empty database, and a folder for other files."""
    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as url:
        yield url, Path(folder)


def show_rows(title: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Print a table: a name, then figures."""
    name, *figures = columns
    table = Table(name, title=title, title_justify="left")
    for figure in figures:
        table.add_column(figure, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def main() -> None:
    """Measure everything, first on SQLite, then on PostgreSQL."""
    # Only the tables.
    logging.disable(logging.CRITICAL)
    measured: list[Figure] = []
    for name, place in PLACES.items():
        of_database: list[Figure] = []
        began_s = time.monotonic()
        for part in PARTS:
            with started(place) as (url, folder):
                of_database += part(name, url, folder)
        took_s = time.monotonic() - began_s
        show(console, f"{name}: beside its floor in the same rounds ({took_s:.0f} s)", of_database)
        measured += of_database
        write(RESULTS, measured)
        chart.write(PICTURE, measured)
        if IS_QUICK:
            continue
        with started(place) as (url, _):
            show_rows(f"{name}: the hot paths", PATHS, paths.rows(url))
        with started(place) as (url, folder):
            title = f"{name}: requests and acceptances over HTTP beside a misbehaving mail server"
            show_rows(title, MISBEHAVING, slow_smtp.rows(url, folder))
        with started(place) as (url, folder):
            title = f"{name}: whose address it is, by the duration of {strangers.TRIES:,} answers"
            show_rows(title, TOLD_APART, strangers.told_apart(url, folder))
        with started(place) as (url, folder):
            title = f"{name}: requests to /my-links"
            show_rows(title, PATHS, strangers.beside_slow_ones(url, folder))


if __name__ == "__main__":
    main()

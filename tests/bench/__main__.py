"""`make bench`: how fast it is on this machine, on SQLite and on PostgreSQL."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import paths, relay, slow_smtp
from tests.bench.databases import PLACES, Place
from tests.bench.measure import Row
from tests.harness.smtp_server import MailServer

TIMES = ("per second", "median ms", "p99 ms")
PATHS = ("what", *TIMES)
MISBEHAVING = ("mail server", *TIMES, "speed / well", "median / well")
RELAY = ("relay", "emails per second", "speed / no round trip")

console = Console(width=110)


@contextmanager
def started(place: Place) -> Iterator[tuple[str, Path]]:
    """The address of an empty database, and a folder for other files."""
    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as url:
        yield url, Path(folder)


def show(title: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
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
    for name, place in PLACES.items():
        with started(place) as (url, _), MailServer() as mail:
            show(f"{name}: the hot paths", PATHS, paths.rows(url, mail))
        with started(place) as (url, folder):
            title = f"{name}: requests and acceptances over HTTP beside a misbehaving mail server"
            show(title, MISBEHAVING, slow_smtp.rows(url, folder))
        with started(place) as (url, folder):
            title = f"{name}: one scheduler empties an outbox of {2 * relay.BOOKINGS} emails"
            show(title, RELAY, relay.rows(url, folder))


if __name__ == "__main__":
    main()

"""Both databases for a benchmark: a new file, and a new PostgreSQL server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from app.store.db import database
from tests.harness.databases import postgresql_in


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    server = postgresql_in(folder / "postgresql", "delete")
    try:
        yield str(server.get_uri())
    finally:
        database.release()
        server.cleanup()


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """The address of a file that does not exist yet."""
    yield f"sqlite:///{folder / 'bench.db'}"


Place = Callable[[Path], AbstractContextManager[str]]
PLACES: dict[str, Place] = {
    "SQLite": sqlite,
    "PostgreSQL": postgresql,
}

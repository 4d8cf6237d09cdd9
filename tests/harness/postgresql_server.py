"""A PostgreSQL server for one test, which may stop it and end its connections."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from app.store.db.database import db
from tests.harness.databases import OWN_NAME, postgresql_in


class OwnServer:
    """A running server; `url` stays the same across restarts."""

    def __init__(self, folder: Path) -> None:
        self._server = postgresql_in(folder, "stop")
        self._folder = folder
        self.url = str(self._server.get_uri())
        # The first line is the pid; the fifth says where the socket is.
        self.socket = (folder / "postmaster.pid").read_text().splitlines()[4]
        self.programs: Path = self._server.bin_path

    def stop(self, mode: str) -> None:
        """Mode `fast` ends connections cleanly, `immediate` is like a crash."""
        self._control("stop", "-m", mode)

    def start(self, *options: str) -> None:
        """With these options of the program `postgres` beside the usual ones."""
        given = " ".join(['-h ""', f"-k {self.socket}", *options])
        self._control("start", "-o", given, "-l", str(self._folder / "log"))

    def end(self) -> None:
        if not (self._folder / "postmaster.pid").exists():
            self.start()
        self._server.cleanup()

    def _control(self, *arguments: str) -> None:
        self.tool("pg_ctl", "-w", "-D", str(self._folder), *arguments)

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs as the server's user."""
        subprocess.run(
            [str(self._server.bin_path / name), *arguments],
            check=True,
            user=self.system_user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )

    @property
    def system_user(self) -> str | None:
        """The system user that runs the server; None if it is the user that runs the tests."""
        user: str | None = self._server.system_user
        return user


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server with an empty database; deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mindsum-own-postgresql-"))
    server = OwnServer(folder)
    try:
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run SQL over a separate connection; the rows it returns."""
    writing = "-c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=writing) as other:
        answer = other.execute(sql, values or None)
        return answer.fetchall() if answer.description else []


def end_backends(url: str) -> int:
    """End all other connections to that database; how many there were."""
    ended = execute(
        url,
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        f" AND application_name <> '{OWN_NAME}'",
    )
    return len(ended)


@contextmanager
def cut_while_committing(url: str, table: str) -> Iterator[None]:
    """Writing to that table loses the connection while committing."""
    execute(
        url,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        f" CREATE CONSTRAINT TRIGGER cut AFTER INSERT OR UPDATE ON {table}"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()",
    )
    try:
        yield
    finally:
        execute(url, f"DROP TRIGGER cut ON {table}; DROP FUNCTION cut()")


def own_pid() -> int:
    """The server process of this thread's session."""
    return int(db.execute_sql("SELECT pg_backend_pid()").fetchone()[0])

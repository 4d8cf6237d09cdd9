"""The PostgreSQL commands of docs/operations.md, as they stand, by a role without privileges."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from app.store.db import database
from tests.harness.postgresql_server import execute, own_server
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S
from tests.scenarios import last_release

GUIDE = (ROOT / "docs" / "operations.md").read_text()
# The programs of the machine in the guide; ours stand before them in PATH.
MINDSUM = """#!/bin/sh
cd {folder} && PYTHONPATH={root} exec {python} -c 'import sys; from app.cli import main
sys.exit(main())' "$@"
"""
RUNUSER = """#!/bin/sh
shift 3
PGUSER=postgres exec "$@"
"""


class Machine:
    def __init__(self, folder: Path, programs: Path, socket: str) -> None:
        self.folder = folder
        self.url = f"postgresql://mindsum@/mindsum?host={quote(socket, safe='')}"
        (folder / ".env").write_text(f"DATABASE_URL={self.url}\n")
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._add("mindsum", MINDSUM.format(folder=folder, root=ROOT, python=sys.executable))
        self._add("runuser", RUNUSER)
        path = f"{self._programs}:{programs}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "PGHOST": socket}
        for name in ("DATABASE_URL", "PGUSER", "PGDATABASE"):
            self._environment.pop(name, None)

    def _add(self, name: str, text: str) -> None:
        (self._programs / name).write_text(text)
        (self._programs / name).chmod(0o755)

    def type(self, commands: str) -> str:
        """What they print, and what they complain of; fails at the first that fails."""
        ran = subprocess.run(
            ["sh", "-euc", commands.replace("/var/lib/mindsum", str(self.folder))],
            cwd=self.folder, env=self._environment, timeout=2 * PATIENCE_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout + ran.stderr


def commands_with(program: str) -> str:
    """The one block of the guide that calls that program."""
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", GUIDE)
    [block] = [each for each in blocks if re.search(rf"(?m)^{program} ", each)]
    return str(block)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with own_server() as server:
        programs, socket = server.programs, server.socket
        owned = Machine(tmp_path, programs, socket)
        owned.type("runuser -u postgres -- createuser mindsum")
        owned.type("runuser -u postgres -- createdb --owner mindsum mindsum")
        yield owned


def test_a_backup_of_the_last_release_is_restored_beside_what_came_since(machine: Machine) -> None:
    last_release.restore(machine.url)
    database.release()
    machine.type(commands_with("pg_dump"))
    assert (machine.folder / "mindsum.dump").stat().st_mode & 0o077 == 0
    before = execute(machine.url, "SELECT COUNT(*) FROM booking")
    machine.type("mindsum db upgrade")
    execute(machine.url, "UPDATE therapist SET streak = 7")

    said = machine.type(commands_with("pg_restore"))
    assert "on hold" in said
    assert "signed out" in said
    assert execute(machine.url, "SELECT COUNT(*) FROM booking") == before
    assert execute(machine.url, "SELECT MAX(streak) FROM therapist") != [(7,)]
    machine.type("mindsum replay")
    # The database that was there is set aside.
    aside = machine.url.replace("/mindsum?", "/mindsum_replaced?")
    assert execute(aside, "SELECT MAX(streak) FROM therapist") == [(7,)]

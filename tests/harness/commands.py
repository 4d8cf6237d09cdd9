"""Commands of `mindsum` as tests type them, and what they answer."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S

ADD = (
    "therapist", "add", "--slug", "asha", "--name", "Asha Rao", "--email",
    "asha@therapists.example", "--timezone", "Europe/London", "--rate", "60.00",
)  # fmt: skip


@dataclass
class Answer:
    """A command's exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        assert (self.status, self.err) == (0, ""), self.err
        return json.loads(self.out)

    @property
    def mistake(self) -> str:
        """The one line of a mistake; fails if the command printed anything else."""
        assert (self.status, self.out) == (2, "")
        found = re.fullmatch(r"mindsum: ([^\n]+)\n", self.err)
        assert found, self.err
        return found[1]


Mindsum = Callable[..., Answer]


def typed(tmp_path: Path, *words: str, **environment: str) -> Answer:
    """Run a command in a process of its own, on a SQLite database of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *words],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'ops.db'}", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)

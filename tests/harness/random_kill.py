"""Web and schedulers that are killed at random moments, and started again."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness.processes import ENDS_WORKERS, Site, is_ok
from tests.harness.smtp_server import LOOPBACK
from tests.harness.waiting import until

WORKERS = 2
CRASH_LOOP_S = 7
"""Granian gives up when a worker dies within 5.5 s of having been started for a dead one."""


class Household:
    """Two web workers and two schedulers; `killed` counts who was killed."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.killed: Counter[str] = Counter()
        self._stack = ExitStack()
        self._workers: set[int] = set()
        self._seen_first_at = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of them, up and answering; ended with SIGTERM."""
        web = (
            "-m", "granian", "--interface", "wsgi", "--factory", "app:create_app", "--host",
            LOOPBACK, "--port", str(self.site.port), "--workers", str(WORKERS),
            "--blocking-threads", "8", "--respawn-failed-workers", "--respawn-interval", "0.1",
            "--log-level", "error", *ENDS_WORKERS,
        )  # fmt: skip
        with self._stack:
            self.web = self._stack.enter_context(self.site.spawn(*web))
            self.schedulers = [self._scheduler() for _ in range(2)]
            until("the site to be ready", lambda: self.site.call("GET", "/readyz"), is_ok)
            yield

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL to a web worker, which granian replaces, or to a scheduler, which we replace."""
        workers = children_of(self.web.pid)
        if self.killed["web"] and set(workers) != self._workers:
            self._workers, self._seen_first_at = set(workers), time.monotonic()
        is_past = time.monotonic() - self._seen_first_at > CRASH_LOOP_S
        if is_past and len(workers) == WORKERS and chance.random() < 0.5:
            os.kill(chance.choice(workers), signal.SIGKILL)
            self.killed["web"] += 1
            return
        self.schedulers[0].kill()
        self.killed["scheduler"] += 1
        # The other one has had the time to begin its work: it is the next to go.
        self.schedulers = [self.schedulers[1], self._scheduler()]

    def log(self) -> str:
        return "".join(path.read_text() for path in self.site.folder.glob("*.log"))

    def _scheduler(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(self.site.spawn("scheduler.py"))


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    tasks = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
    children = [int(each) for task in tasks for each in told(pid, f"task/{task}/children").split()]
    states = {child: told(child, "status") for child in children}
    return [child for child, state in states.items() if state and "\nState:\tZ" not in state]


def told(pid: int, what: str) -> str:
    """What the system tells of a process; nothing of one that has just gone."""
    try:
        return Path(f"/proc/{pid}/{what}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""Web workers and schedulers that are killed at random moments and started again."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness.processes import WORKERS_KILL_TIMEOUT, Site
from tests.harness.smtp_server import LOOPBACK

WORKERS = 2
CRASH_LOOP_S = 7
"""Granian gives up when a replacement worker dies within 5.5 s of its start."""


class RandomKills:
    """Two web workers and two schedulers of a site; `killed` counts the kills by role."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.killed: Counter[str] = Counter()
        self._stack = ExitStack()
        self._workers: set[int] = set()
        self._seen_first_at = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of them, started and ready; stopped with SIGTERM."""
        web = (
            "-m", "granian", "--interface", "rsgi", "--factory", "app.serve:worker", "--host",
            LOOPBACK, "--port", str(self.site.port), "--workers", str(WORKERS),
            "--no-ws", "--respawn-failed-workers", "--respawn-interval", "0.1",
            "--log-level", "error", *WORKERS_KILL_TIMEOUT,
        )  # fmt: skip
        with self._stack:
            self.web = self._stack.enter_context(self.site.spawn(*web))
            self.schedulers = [self._scheduler() for _ in range(2)]
            self.site.await_ready([self.web, *self.schedulers])
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
        # Without it its delivery worker ends by itself; half of the time it is killed too.
        if chance.random() < 0.5:
            for worker in children_of(self.schedulers[0].pid):
                os.kill(worker, signal.SIGKILL)
        self.schedulers[0].kill()
        self.killed["scheduler"] += 1
        # The older one is killed next: the new one needs time until it works.
        self.schedulers = [self.schedulers[1], self._scheduler()]

    def _scheduler(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(self.site.spawn("scheduler.py"))


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    tasks = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
    children = [
        int(child) for task in tasks for child in proc_text(pid, f"task/{task}/children").split()
    ]
    states = {child: proc_text(child, "status") for child in children}
    return [child for child, state in states.items() if state and "\nState:\tZ" not in state]


def proc_text(pid: int, name: str) -> str:
    """A file below /proc/PID; "" if the process has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""

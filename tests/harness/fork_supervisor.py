"""Hundreds of real processes cheaply: one that has imported everything forks them on demand.

Its parent reads its orders from standard input, a JSON object per line, and writes what becomes of
its children to standard output.
"""

import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from granian.constants import Interfaces
from granian.server import Server

from app import create_app
from app.scheduler import process as scheduler_process
from emails import render
from tests.harness.fault_injection import Deadly, Fate
from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, PATIENCE_S

SCHEDULER, WEB = "scheduler", "web"
_POLL_S = 0.02
_STOPS_WITHIN_S = 40
"""How long a process has to finish what is in hand; on a busy machine its own limit is short."""


@dataclass(slots=True)
class Child:
    """A process of the product: what it is, and how it stands with it."""

    pid: int
    role: str
    point: str
    is_stopped: bool = False
    exit_status: int | None = None
    """Negative: the signal that ended it."""


class ForkSupervisor:
    """The parent of the processes, from the side of the test; a context manager.

    `upbringing` is what it does in Python before it bears any, for all of them.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, upbringing: str = "") -> None:
        self._environment = dict(environment)
        self._program = (
            f"{upbringing}\nfrom tests.harness import fork_supervisor\nfork_supervisor.serve()"
        )
        self._log = folder / "forks.log"
        self.journal = folder / "journal"
        self.children: dict[int, Child] = {}
        self._unread = b""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._program],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end_all()
        finally:
            with self._process:
                assert self._process.stdin is not None
                self._process.stdin.close()
                self._process.wait(PATIENCE_S)

    def start(self, role: str, point: str = "", **fate: Any) -> Child:
        """A new process of that role, with its Fate."""
        order = {"journal": str(self.journal), "role": role, "point": point, **fate}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        deadline = time.monotonic() + PATIENCE_S
        before = set(self.children)
        while time.monotonic() < deadline:
            self.look(1)
            if born := set(self.children) - before:
                child = self.children[born.pop()]
                child.role, child.point = role, point
                return child
        raise AssertionError(f"no {role} was born: {self.log()[-2000:]}")

    def look(self, patience_s: float = 0) -> None:
        """Take in what became of the children since the last look."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], patience_s)[0]:
            read = os.read(self._process.stdout.fileno(), 65536)
            if not read:
                raise AssertionError(f"the forks has ended: {self.log()[-2000:]}")
            *lines, self._unread = (self._unread + read).split(b"\n")
            for line in lines:
                self._take_in(json.loads(line))
            patience_s = 0

    def _take_in(self, news: dict[str, int]) -> None:
        pid = news["pid"]
        if "born" in news:
            self.children[pid] = Child(pid, "", "")
            return
        status = news["status"]
        child = self.children[pid]
        if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
            child.is_stopped = os.WIFSTOPPED(status)
        else:
            child.exit_status = os.waitstatus_to_exitcode(status)

    def living(self, role: str | None = None) -> list[Child]:
        return [
            child
            for child in self.children.values()
            if child.exit_status is None and role in (None, child.role)
        ]

    def end_all(self, within_s: float = PATIENCE_S) -> None:
        """SIGTERM to all that live; AssertionError (and SIGKILL) for those that take too long."""
        self.look()
        for child in self.living():
            # It may have ended since.
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
                os.kill(child.pid, signal.SIGCONT)
        deadline = time.monotonic() + within_s
        while self.living() and time.monotonic() < deadline:
            self.look(0.1)
        stubborn = self.living()
        for child in stubborn:
            os.kill(child.pid, signal.SIGKILL)
        assert not stubborn, [(child.role, child.point) for child in stubborn]

    def journalled(self, event: str) -> list[dict[str, Any]]:
        """What the processes wrote down, oldest first."""
        text = self.journal.read_text() if self.journal.exists() else ""
        # The last line may be being written at this moment.
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [each for each in map(json.loads, whole) if each["event"] == event]

    def log(self) -> str:
        """What the processes logged."""
        return self._log.read_text("utf-8", "replace")


def serve() -> None:
    """Fork what is ordered until standard input ends."""
    app = create_app()
    render.warm_up()
    # granian forks its worker from a child of ours that has a single thread, as we have.
    multiprocessing.set_start_method("fork")
    scheduler_process.STOPS_WITHIN_S = _STOPS_WITHIN_S
    # Whoever is asked to stop before it has got as far as to listen has nothing in hand.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    alone = len(list(Path("/proc/self/task").iterdir())) == 1
    assert alone, "a process with threads cannot be forked safely"
    lives: dict[str, Callable[[], int | None]] = {
        SCHEDULER: lambda: scheduler_process.run_forever(app),
        WEB: lambda: _serve_web(app),
    }
    unread = b""
    while True:
        _tell_what_became()
        if not select.select([0], [], [], _POLL_S)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, unread = (unread + read).split(b"\n")
        for line in lines:
            fate = Fate(**json.loads(line))
            _bear(fate, lives[fate.role])


def _bear(fate: Fate, live: Callable[[], int | None]) -> None:
    pid = os.fork()
    if pid:
        _say(born=1, pid=pid)
        return
    status = 1
    try:
        # Standard output is the forks's line to the test.
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        Deadly(fate).arm()
        status = live() or 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _serve_web(app: Any) -> None:
    """One granian worker under its own master, sharing the port with its like."""
    Server(
        "app:create_app",
        address=LOOPBACK,
        port=int(os.environ["PORT"]),
        interface=Interfaces.WSGI,
        blocking_threads=8,
        # One that has only just begun does not hear that it should end.
        workers_kill_timeout=8,
        log_enabled=False,
    ).serve(target_loader=lambda: app, wrap_loader=False)


def _tell_what_became() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if not pid:
            return
        _say(pid=pid, status=status)


def _say(**news: int) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")

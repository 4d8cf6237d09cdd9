"""Many processes of the product at little cost: one that has imported everything forks them.

It reads orders from standard input, one JSON object a line, and reports to standard output which
children were forked, stopped, continued or ended.
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

from app import config, create_app, inbound
from app.scheduler import process as scheduler_process
from emails import render
from tests.harness.fault_injection import FaultInjector, PlannedFault
from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, PATIENCE_S

SCHEDULER, WEB, INBOUND = "scheduler", "web", "inbound"
_POLL_S = 0.02
_STOPS_WITHIN_S = 40
"""Seconds that a stopping scheduler has; its usual limit is short for a busy machine."""


@dataclass(slots=True)
class Child:
    """A forked process: its role, its planned fault and its state."""

    pid: int
    role: str
    point: str
    is_stopped: bool = False
    exit_status: int | None = None
    """Negative: the number of the signal that ended it. None while it runs."""


class ForkSupervisor:
    """Starts and stops forked processes; as a context manager it stops all at the end.

    `prelude` is Python code that the forking process runs first, for all its children.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, prelude: str = "") -> None:
        self._environment = dict(environment)
        self._program = (
            f"{prelude}\nfrom tests.harness import fork_supervisor\nfork_supervisor.serve()"
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
            self.stop_all()
        finally:
            with self._process:
                assert self._process.stdin is not None
                self._process.stdin.close()
                self._process.wait(PATIENCE_S)

    def start(self, role: str, point: str = "", **fault: Any) -> Child:
        """Fork a process of that role; `fault` are fields of its PlannedFault."""
        order = {"journal": str(self.journal), "role": role, "point": point, **fault}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        deadline = time.monotonic() + PATIENCE_S
        before = set(self.children)
        while time.monotonic() < deadline:
            self.read_reports(1)
            if new := set(self.children) - before:
                child = self.children[new.pop()]
                child.role, child.point = role, point
                return child
        raise AssertionError(f"no {role} in {PATIENCE_S} s: {self.log()[-2000:]}")

    def read_reports(self, wait_s: float = 0) -> None:
        """Update the children from reports; wait so many seconds for the first one."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], wait_s)[0]:
            read = os.read(self._process.stdout.fileno(), 65536)
            if not read:
                raise AssertionError(f"the forking process has ended: {self.log()[-2000:]}")
            *lines, self._unread = (self._unread + read).split(b"\n")
            for line in lines:
                self._update(json.loads(line))
            wait_s = 0

    def _update(self, report: dict[str, int]) -> None:
        pid = report["pid"]
        if "forked" in report:
            self.children[pid] = Child(pid, "", "")
            return
        status = report["status"]
        child = self.children[pid]
        if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
            child.is_stopped = os.WIFSTOPPED(status)
        else:
            child.exit_status = os.waitstatus_to_exitcode(status)

    def running(self, role: str | None = None) -> list[Child]:
        return [
            child
            for child in self.children.values()
            if child.exit_status is None and role in (None, child.role)
        ]

    def stop_all(self, within_s: float = PATIENCE_S) -> None:
        """Send SIGTERM to all that run; AssertionError, and SIGKILL, if one takes too long."""
        self.read_reports()
        for child in self.running():
            # It may have ended since the last report.
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
                os.kill(child.pid, signal.SIGCONT)
        deadline = time.monotonic() + within_s
        while self.running() and time.monotonic() < deadline:
            self.read_reports(0.1)
        left = self.running()
        for child in left:
            os.kill(child.pid, signal.SIGKILL)
        assert not left, [(child.role, child.point) for child in left]

    def journal_entries(self, event: str) -> list[dict[str, Any]]:
        """What the fault injectors noted, oldest first."""
        text = self.journal.read_text() if self.journal.exists() else ""
        # A process may be writing the last line at this moment.
        complete = text[: text.rfind("\n") + 1].splitlines()
        return [each for each in map(json.loads, complete) if each["event"] == event]

    def log(self) -> str:
        """The logs of all children."""
        return self._log.read_text("utf-8", "replace")


def serve() -> None:
    """Fork processes as ordered until standard input ends."""
    app = create_app()
    render.warm_up()
    # granian forks its worker from a child of this process, which has one thread.
    multiprocessing.set_start_method("fork")
    scheduler_process.STOPS_WITHIN_S = _STOPS_WITHIN_S
    # A planned fault stops one process, so that one must do all of the scheduler's work.
    scheduler_process.has_second_core = lambda: False
    # A child that is stopped before it has its own handler has nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, "a process with threads cannot be forked safely"
    programs: dict[str, Callable[[], int | None]] = {
        SCHEDULER: lambda: scheduler_process.run_forever(app),
        WEB: lambda: _serve_web(app),
        INBOUND: lambda: inbound.serve(app, config.current()),
    }
    unread = b""
    while True:
        _report_changes()
        if not select.select([0], [], [], _POLL_S)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, unread = (unread + read).split(b"\n")
        for line in lines:
            fault = PlannedFault(**json.loads(line))
            _fork(fault, programs[fault.role])


def _fork(fault: PlannedFault, run: Callable[[], int | None]) -> None:
    pid = os.fork()
    if pid:
        _report(forked=1, pid=pid)
        return
    status = 1
    try:
        # Standard output carries the reports.
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        FaultInjector(fault).install()
        status = run() or 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _serve_web(app: Any) -> None:
    """Serve with one granian worker; several such servers share the port."""
    Server(
        "app:create_app",
        address=LOOPBACK,
        port=int(os.environ["PORT"]),
        interface=Interfaces.WSGI,
        blocking_threads=8,
        # A worker that has only just started ignores the request to end.
        workers_kill_timeout=8,
        log_enabled=False,
    ).serve(target_loader=lambda: app, wrap_loader=False)


def _report_changes() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if not pid:
            return
        _report(pid=pid, status=status)


def _report(**fields: int) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")

"""Two PostgreSQL servers on loopback: a standby has every commit before the primary confirms it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.postgresql_server import OwnServer, execute
from tests.harness.random_kill import children_of
from tests.harness.smtp_server import LOOPBACK, unused_port
from tests.harness.waiting import until


class Pair:
    """`url` names both; connections go to the one that takes writes."""

    def __init__(self, primary: Path, standby: Path) -> None:
        self._primary, self._standby = OwnServer(primary), standby
        self._ports = unused_port(), unused_port()
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self._ports)
        self.url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        self._is_killed = False
        self._pid_file = primary / "postmaster.pid"
        self._primary.stop("fast")
        # On the command line, so that the standby's copy of the settings does not have it: once it
        # is the primary, nobody follows it.
        self._primary.start(self._listen(0), "-c synchronous_standby_names=*")
        self._copy()
        self._control("start", "-o", self._listen(1), "-l", str(standby / "log"))
        until("the standby to follow", self._following, lambda rows: rows == [("sync",)])

    def kill_primary(self) -> None:
        """As if its machine had lost power: no process of it says goodbye."""
        self._is_killed = True
        pid = int(self._pid_file.read_text().splitlines()[0])
        for each in [pid, *children_of(pid)]:
            # The postmaster's end may have ended it.
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def promote(self) -> None:
        """Let the standby take writes."""
        self._control("promote")

    def end(self) -> None:
        self._control("stop", "-m", "immediate")
        if self._is_killed:
            # It removes what it left in shared memory.
            self._primary.start()
        self._primary.end()

    def _listen(self, which: int) -> str:
        return f"-h {LOOPBACK} -p {self._ports[which]}"

    def _copy(self) -> None:
        if self._primary.system_user is not None:
            shutil.chown(self._standby, self._primary.system_user)
        self._primary.tool(
            "pg_basebackup", "--pgdata", str(self._standby), "--write-recovery-conf",
            "--checkpoint", "fast", "--host", LOOPBACK, "--port", str(self._ports[0]),
            "--username", "postgres",
        )  # fmt: skip

    def _control(self, *arguments: str) -> None:
        self._primary.tool("pg_ctl", "-w", "-D", str(self._standby), *arguments)

    def _following(self) -> list[tuple[str]]:
        return execute(self.url, "SELECT sync_state FROM pg_stat_replication")  # type: ignore[return-value]


@contextmanager
def pair() -> Iterator[Pair]:
    """Both running with an empty database; deleted at the end."""
    folders = [Path(tempfile.mkdtemp(prefix=f"mindsum-{each}-")) for each in ("primary", "standby")]
    servers = Pair(*folders)
    try:
        yield servers
    finally:
        servers.end()
        for each in folders:
            shutil.rmtree(each, ignore_errors=True)

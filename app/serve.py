"""The web process, `python -m app.serve`: checks the settings, then becomes granian."""

import errno
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread

from app import config, create_app, listening
from app.config import Settings
from app.errors import ConfigError
from app.store.db import database
from app.web.ops.request_metrics import FOLDER_VARIABLE
from app.web.server import Server

# Seconds. A thread that holds the write lock needs the interpreter for each statement; at the
# default of 5 ms all writers would wait for every thread that computes a page.
SWITCH_INTERVAL_S = 0.0005
THREADS = 8
HEADERS_WITHIN_MS = 10_000
STOPS_WITHIN_S = 8
# If a server was killed, its workers keep the port for a while.
PORT_FREE_WITHIN_S = STOPS_WITHIN_S + 2
# In memory, so that a full disk cannot stop the counting.
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a new folder, for its owner only


def command(settings: Settings) -> list[str]:
    # Without an access log: addresses hold signed links.
    return [
        sys.executable, "-m", "app.preloaded", "app.serve:worker",
        "--interface", "rsgi",
        "--no-ws",
        "--factory",
        "--host", settings.bind_address,
        "--port", str(settings.port),
        "--workers", str(settings.web_concurrency),
        "--http1-header-read-timeout", str(HEADERS_WITHIN_MS),
        "--respawn-failed-workers",
        "--workers-kill-timeout", str(STOPS_WITHIN_S),
        "--no-access-log",
        "--log-level", "error",
    ]  # fmt: skip


def make_metrics_folder(address: str, port: int) -> Path:
    """The workers keep their request counts there. Raises OSError."""
    in_memory = os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    parent = Path(SHARED_MEMORY if in_memory else tempfile.gettempdir())
    folder = parent / f"mindsum-metrics-{os.getuid()}-{address}-{port}"
    # No other server uses it, because the port was free.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _check_port(settings: Settings) -> None:
    # granian would share the port silently.
    address, port = settings.bind_address, settings.port
    give_up_at = time.monotonic() + PORT_FREE_WITHIN_S
    while True:
        try:
            listening.listen(address, port).close()
        except OSError as error:
            reason = os.strerror(error.errno or errno.EADDRINUSE).lower()
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                right = f"should be an address of this machine, not {address} ({reason})"
                raise ConfigError("BIND", right) from None
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up_at:
                raise ConfigError("PORT", f"should be a free port, not {port} ({reason})") from None
            time.sleep(0.2)
        else:
            return


def preload() -> None:
    """What workers need, before they are forked: they share that memory until they write to it."""
    # Loads the driver, and connects to nothing.
    database.bind(config.load().database_url)
    gc.collect()
    # Each worker would copy what it looks through for garbage.
    gc.freeze()


def worker() -> Server:
    """The application in a worker of granian."""
    # granian's workers go on when their server is killed; this one must free the port.
    parent = parent_process()
    if parent is not None:
        Thread(target=_stop_after, args=(parent.pid,), daemon=True).start()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = config.load()
    server = Server(create_app(settings), settings, THREADS)
    # What is loaded stays loaded, so the collector need not look through it again and again.
    gc.freeze()
    return server


def _stop_after(server_pid: int) -> None:
    while os.getppid() == server_pid:
        time.sleep(0.5)
    # Repeated, because a worker that is still starting ignores the signal.
    for _ in range(2 * STOPS_WITHIN_S):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    try:
        settings = config.load()
        _check_port(settings)
    except ConfigError as error:
        print(f"web: {error}", file=sys.stderr)  # noqa: T201 - to the terminal
        sys.exit(2)
    os.environ.pop(FOLDER_VARIABLE, None)
    # Without a folder each worker counts for itself.
    with suppress(OSError):
        os.environ[FOLDER_VARIABLE] = str(make_metrics_folder(settings.bind_address, settings.port))
    # For each thread glibc would keep a heap of its own, and free memory in all of them.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - our own arguments, no shell


if __name__ == "__main__":
    main()

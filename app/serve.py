"""The web process: look at the settings, then become granian; `python -m app.serve`."""

import errno
import fcntl
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread

from flask import Flask

from app import config, create_app
from app.config import Settings
from app.errors import ConfigError
from app.web.ops.request_metrics import FOLDER

HOST = "0.0.0.0"  # noqa: S104 - a platform's router, or a proxy, stands in front
BLOCKING_THREADS = 8
ENDS_WITHIN_S = 8
"""How long a worker may take to end; one that has only just begun does not hear that it should."""

PORT_FREE_WITHIN_S = ENDS_WITHIN_S + 2
"""How long a start waits for those who still end: workers of a server that was itself killed."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder of our own below it is used


def command(settings: Settings) -> list[str]:
    """The server's command line. Never with an access log: addresses hold signed links."""
    return [
        sys.executable, "-m", "granian", "app.serve:worker",
        "--interface", "wsgi",
        "--factory",
        "--host", HOST,
        "--port", str(settings.port),
        "--workers", str(settings.web_concurrency),
        "--blocking-threads", str(BLOCKING_THREADS),
        "--respawn-failed-workers",
        "--workers-kill-timeout", str(ENDS_WITHIN_S),
        "--no-access-log",
        "--log-level", "error",
    ]  # fmt: skip


def places() -> Iterator[Path]:
    """Where the figures may lie, best first: memory does not fill up as a disk does."""
    if os.access(IN_MEMORY, os.W_OK | os.X_OK):
        yield IN_MEMORY
    with suppress(OSError):
        yield Path(tempfile.gettempdir())


def figures_folder(place: Path, port: int) -> Path:
    """An empty folder of our own in which the workers count together, until this server ends.

    Mostly the same one for each start on a port, so that no start leaves another behind. Raises
    OSError where `place` has no room for one.
    """
    folder = place / f"mindsum-figures-{os.getuid()}-{port}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if _is_ours_alone(held):
            for old in folder.iterdir():
                old.unlink()
            # Open for as long as the server runs: another start would take the figures away.
            os.set_inheritable(held, True)
            return folder
        os.close(held)
    return Path(tempfile.mkdtemp(prefix="mindsum-figures-", dir=place))


def _is_ours_alone(held: int) -> bool:
    about = os.fstat(held)
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_port(port: int) -> None:
    """Raises ConfigError where somebody goes on listening: granian would share the port with it."""
    until = time.monotonic() + PORT_FREE_WITHIN_S
    while True:
        try:
            socket.create_server((HOST, port)).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                reason = os.strerror(error.errno or errno.EADDRINUSE).lower()
                raise ConfigError("PORT", f"should be a free port, not {port} ({reason})") from None
            time.sleep(0.2)
        else:
            return


def worker() -> Flask:
    """The application in a worker of granian's; when its server is killed, the worker ends too."""
    server = parent_process()
    if server is not None:
        Thread(target=_end_after, args=(server.pid,), daemon=True).start()
    return create_app()


def _end_after(server_pid: int) -> None:
    while os.getppid() == server_pid:
        time.sleep(0.5)
    # Said again and again, since a worker that is only beginning does not hear it.
    for _ in range(2 * ENDS_WITHIN_S):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Serve until SIGTERM or SIGINT; a setting that will not do is one line and exit status 2."""
    try:
        settings = config.load()
        _check_port(settings.port)
    except ConfigError as error:
        print(f"web: {error}", file=sys.stderr)  # noqa: T201 - for whoever starts it
        sys.exit(2)
    os.environ.pop(FOLDER, None)
    # Without a place for them, each worker counts for itself; that stops nobody from booking.
    for place in places():
        with suppress(OSError):
            os.environ[FOLDER] = str(figures_folder(place, settings.port))
            break
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - our own words, no shell


if __name__ == "__main__":
    main()

"""Waking schedulers after a commit that queued emails. A lost wake-up costs a polling interval."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex

from app.store.db import errors
from app.store.db.database import db, is_sqlite

# A process rings at most once in this time, and who listens looks again after it.
RING_EVERY_S = 0.02
# How long to wait before trying again to listen.
_RETRY_S = 5.0
# How often a listener looks whether it is to end.
_LOOK_EVERY_S = 0.2

_CHANNEL = "mindsum_outbox"
_rung_s = 0.0
_lock = threading.Lock()


def ring() -> None:
    """Call after the commit; outside of transactions it never raises."""
    global _rung_s  # noqa: PLW0603 - of the process
    with _lock:
        now_s = time.monotonic()
        if now_s - _rung_s < RING_EVERY_S:
            return
        _rung_s = now_s
    if is_sqlite():
        _send(db.obj.path)
    else:
        with suppress(*errors.DATABASE_ERRORS):
            db.obj.notify(_CHANNEL)


def heard(is_over: Callable[[], bool]) -> Iterator[None]:
    """Yield after each ring, and once more if rings may have been missed, until `is_over`."""
    while not is_over():
        try:
            for _ in _datagrams(is_over) if is_sqlite() else _notifications(is_over):
                yield
                time.sleep(RING_EVERY_S)
                yield
        except (OSError, *errors.DATABASE_ERRORS):
            # Polling goes on.
            time.sleep(_RETRY_S)


# SQLite: each listener has a socket beside the file, to which writers send an empty datagram.


def _name(path: Path) -> str:
    return f"{path.name}.wake-"


def _send(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
        sender.setblocking(False)
        for listener in path.parent.glob(f"{_name(path)}*"):
            try:
                sender.sendto(b"", str(listener))
            except ConnectionRefusedError:
                # Its process was killed.
                with suppress(OSError):
                    listener.unlink()
            except OSError:
                # It has been rung already, or has just gone.
                continue


def _datagrams(is_over: Callable[[], bool]) -> Iterator[None]:
    path: Path = db.obj.path
    own = path.with_name(_name(path) + token_hex(4))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        # Raises OSError where the path is too long for a socket.
        listener.bind(str(own))
        try:
            own.chmod(0o600)
            while not is_over():
                if select.select([listener], [], [], _LOOK_EVERY_S)[0]:
                    _drain(listener)
                    yield
        finally:
            own.unlink(missing_ok=True)


def _drain(listener: socket.socket) -> None:
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            listener.recv(1)


# PostgreSQL: NOTIFY.


def _notifications(is_over: Callable[[], bool]) -> Iterator[None]:
    with db.obj.listening(_CHANNEL) as listener:
        while not is_over():
            if listener is None:
                # Through a pool of transactions nothing is heard.
                time.sleep(_LOOK_EVERY_S)
                continue
            for _ in listener.notifies(timeout=_LOOK_EVERY_S, stop_after=1):
                yield

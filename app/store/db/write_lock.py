"""The queue for writing to a SQLite file, one writer at a time; it never waits for ever."""

import fcntl
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.errors import StoreUnavailable

LIMIT_S = 10.0
"""How long to wait for those before: a commit takes milliseconds, so by then one is stuck."""

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.002
_IMPATIENT_AFTER_S = 0.01

_own_turn = threading.Lock()


@contextmanager
def alone_in_writing(path: Path) -> Iterator[None]:
    """Queue for the write lock of a SQLite file; its own busy handler starves some for seconds.

    Raises StoreUnavailable where it does not come within LIMIT_S, or cannot be had at all.
    """
    began = time.monotonic()
    if not _own_turn.acquire(timeout=LIMIT_S):
        raise StoreUnavailable(f"a write of this process has lasted for {LIMIT_S:g} s")
    try:
        with _opened(path.with_name(path.name + ".lock")) as lock:
            _take(lock, began)
            yield
    finally:
        _own_turn.release()


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("w")
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error


def _take(lock: IO[str], began: float) -> None:
    # The kernel's own queue knows no limit. At most one thread of each process comes here.
    while not _is_taken(lock):
        waited = time.monotonic() - began
        if waited >= LIMIT_S:
            raise StoreUnavailable(f"another process has held {lock.name} for {LIMIT_S:g} s")
        # Who has waited longer looks more often, so that nobody is passed over for long.
        longest = _LONGEST_PAUSE_S / (1 + waited / _IMPATIENT_AFTER_S)
        time.sleep(random.uniform(_SHORTEST_PAUSE_S, max(_SHORTEST_PAUSE_S, longest)))


def _is_taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreUnavailable(f"{lock.name} cannot be locked: {error.strerror}") from error
    return True

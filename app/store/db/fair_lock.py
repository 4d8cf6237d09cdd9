"""A lock between threads and processes that waiters get in turn, within a time limit."""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import StoreUnavailable

# Bytes of the lock's file. Only the process that holds `_NEXT` waits for `_NOW`, so that a process
# that has just let go cannot overtake it.
_NOW, _NEXT = 0, 1
# A commit takes about a millisecond. Who waits for much longer looks less often.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0001, 0.002


class _Queue:
    """Threads in the order in which they came; one of them has the turn."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def enter(self, limit_s: float) -> bool:
        """False if the turn has not come within `limit_s`."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=limit_s):
            return True
        with self._guard:
            if turn not in self._waiting:
                # It came at the last moment.
                return True
            self._waiting.remove(turn)
            return False

    def leave(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


class FairLock:
    """One per process. The kernel frees what a process held that ends in whatever way."""

    def __init__(self) -> None:
        self._queue = _Queue()
        self._file = -1
        # Which file is open, in which process: (process, device, inode).
        self._opened: tuple[int, int, int] | None = None

    @contextmanager
    def held(self, path: Path, limit_s: float) -> Iterator[None]:
        """Raises StoreUnavailable if it cannot be had within `limit_s`."""
        give_up_at = time.monotonic() + limit_s
        if not self._queue.enter(limit_s):
            raise StoreUnavailable(f"a write of this process has lasted for {limit_s:g} s")
        try:
            file = self._open(path)
            try:
                _wait_for(file, _NEXT, path, give_up_at, limit_s)
                _wait_for(file, _NOW, path, give_up_at, limit_s)
                _unlock(file, _NEXT)
                yield
            finally:
                _unlock(file, _NEXT)
                _unlock(file, _NOW)
        finally:
            self._queue.leave()

    def _open(self, path: Path) -> int:
        # Kept open: closing any file handle of it would free these locks.
        try:
            if self._opened is None or self._opened != _identity(path):
                if self._file >= 0:
                    os.close(self._file)
                    self._file = -1
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                self._opened = _identity(path)
        except OSError as error:
            self._opened = None
            raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error
        return self._file


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return os.getpid(), found.st_dev, found.st_ino


def _wait_for(file: int, byte: int, path: Path, give_up_at: float, limit_s: float) -> None:
    # The kernel's own queue has no time limit. One thread of each process gets here.
    pause_s = _SHORTEST_PAUSE_S
    while not _try_lock(file, byte, path):
        if time.monotonic() >= give_up_at:
            raise StoreUnavailable(f"another process has held {path} for {limit_s:g} s")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, _LONGEST_PAUSE_S)


def _try_lock(file: int, byte: int, path: Path) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be locked: {error.strerror}") from error
    return True


def _unlock(file: int, byte: int) -> None:
    fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)

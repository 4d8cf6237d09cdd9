"""One reading for all who wait for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Who has waited for so long reads alone: a database that does not answer must not hold callers
# one after the other.
_WAIT_S = 0.25


class SharedRead(Generic[T]):
    """Each caller gets what was read from a moment on that is after its call."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._turn = threading.Lock()
        # Numbers of the readings that were begun last and ended last.
        self._begun = self._ended = 0
        self._found: T

    def get(self) -> T:
        # One that has begun may have seen what was true before the call.
        wanted = self._begun + 1
        if not self._turn.acquire(timeout=_WAIT_S):
            return self._read()
        try:
            if self._ended < wanted:
                self._begun += 1
                self._found = self._read()
                self._ended = self._begun
            return self._found
        finally:
            self._turn.release()

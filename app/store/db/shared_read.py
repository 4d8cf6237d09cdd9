"""One read shared by all callers that wait at the same time."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# A caller that has waited for so long reads by itself; otherwise a database that does not answer
# would hold the callers one after another.
_WAIT_S = 0.25


class SharedRead(Generic[T]):
    """Each caller gets the result of a read that began after its call."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        # Numbers of the last read that began, and of the last that succeeded.
        self._started = self._finished = 0
        self._result: T

    def get(self) -> T:
        # A read that is under way may have missed a commit made before this call.
        wanted = self._started + 1
        if not self._lock.acquire(timeout=_WAIT_S):
            return self._read()
        try:
            if self._finished < wanted:
                self._started += 1
                self._result = self._read()
                self._finished = self._started
            return self._result
        finally:
            self._lock.release()

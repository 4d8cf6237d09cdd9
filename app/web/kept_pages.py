"""What is the same for many visitors, kept for a moment."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

P = TypeVar("P")

# A booking or a changed profile shows on the list this much later.
SECONDS = 1.0


class KeptPages(Generic[P]):
    """The last `most` pages. While one caller makes a new page, others get the last one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._pages: OrderedDict[Hashable, tuple[P, float]] = OrderedDict()
        self._being_made: set[Hashable] = set()

    def get(self, key: Hashable, make: Callable[[], P]) -> P:
        with self._guard:
            kept = self._pages.get(key)
            if kept is not None:
                is_fresh = time.monotonic() < kept[1] + SECONDS
                if is_fresh or key in self._being_made:
                    return kept[0]
            self._being_made.add(key)
        try:
            made = make()
        except BaseException:
            # The next caller meets the fault too, instead of an old page.
            self._forget(key)
            raise
        with self._guard:
            self._being_made.discard(key)
            self._pages[key] = made, time.monotonic()
            self._pages.move_to_end(key)
            while len(self._pages) > self._most:
                self._pages.popitem(last=False)
        return made

    def _forget(self, key: Hashable) -> None:
        with self._guard:
            self._being_made.discard(key)
            self._pages.pop(key, None)

    def clear(self) -> None:
        with self._guard:
            self._pages.clear()

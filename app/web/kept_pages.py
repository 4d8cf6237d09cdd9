"""Pages that are the same for everybody, kept for a moment."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# A booking or a changed profile shows on the list this much later.
SECONDS = 1.0


class KeptPages:
    """The last `most` pages. While one caller makes a new page, others get the last one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._pages: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()
        self._being_made: set[Hashable] = set()

    def get(self, key: Hashable, make: Callable[[], str]) -> str:
        with self._guard:
            page, made_at = self._pages.get(key, ("", 0.0))
            is_fresh = time.monotonic() < made_at + SECONDS
            if page and (is_fresh or key in self._being_made):
                return page
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

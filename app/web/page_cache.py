"""A cache for pages that are the same for many visitors."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from flask import request

from app import clock
from app.store.db import database

P = TypeVar("P")

# A booking or a changed profile shows on the list this much later.
SECONDS = 1.0
# A longer address is none that a page of ours leads to, and would fill memory.
_LONGEST_ADDRESS = 200


class _Kept(NamedTuple, Generic[P]):
    page: P
    version: Hashable
    made_s: float


class PageCache(Generic[P]):
    """The last `most` pages. While one caller makes a new page, others get the last one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._pages: OrderedDict[Hashable, _Kept[P]] = OrderedDict()
        self._being_made: set[Hashable] = set()

    def get(self, key: Hashable, make: Callable[[], P], version: Hashable = None) -> P:
        """A page of that version. `make` reads what it shows after the version was."""
        with self._guard:
            kept = self._pages.get(key)
            if kept is not None and kept.version == version:
                is_fresh = time.monotonic() < kept.made_s + SECONDS
                if is_fresh or key in self._being_made:
                    return kept.page
            self._being_made.add(key)
        try:
            made = make()
        except BaseException:
            # The next caller meets the fault too, instead of an old page.
            self._forget(key)
            raise
        with self._guard:
            self._being_made.discard(key)
            self._pages[key] = _Kept(made, version, time.monotonic())
            self._pages.move_to_end(key)
            while len(self._pages) > self._most:
                self._pages.popitem(last=False)
        return made

    def get_as_stored(self, make: Callable[[], P], *more: Hashable) -> P:
        """By the request's method, address and `more`; it shows all that was committed before."""
        if len(request.full_path) > _LONGEST_ADDRESS:
            return make()
        # The demo moves its clock.
        version = database.version(), clock.now().replace(second=0, microsecond=0)
        return self.get((request.method, request.full_path, *more), make, version)

    def _forget(self, key: Hashable) -> None:
        with self._guard:
            self._being_made.discard(key)
            self._pages.pop(key, None)

    def clear(self) -> None:
        with self._guard:
            self._pages.clear()

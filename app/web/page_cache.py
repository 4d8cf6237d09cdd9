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
    """The last `most` pages.

    While one caller makes a new page, others get the last one, or wait where there is none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._pages: OrderedDict[Hashable, _Kept[P]] = OrderedDict()
        # Keys with versions, each with an object that stands for this making of it.
        self._being_made: dict[tuple[Hashable, Hashable], object] = {}

    def get(self, key: Hashable, make: Callable[[], P], version: Hashable = None) -> P:
        """A page of that version. `make` reads what it shows after the version was."""
        wanted = key, version
        with self._changed:
            kept, making = self._kept(key, version), self._being_made.get(wanted)
            if kept is None and making is not None:
                # Only once: where it fails, all who waited try together. If one waited for the
                # other, a database that does not answer would hold every thread of the server.
                self._changed.wait_for(lambda: self._being_made.get(wanted) is not making)
                kept = self._kept(key, version)
            if kept is not None:
                return kept.page
            self._being_made[wanted] = object()
        made: _Kept[P] | None = None
        try:
            made = _Kept(make(), version, time.monotonic())
            return made.page
        finally:
            with self._changed:
                self._being_made.pop(wanted, None)
                self._put(key, made)
                self._changed.notify_all()

    def _kept(self, key: Hashable, version: Hashable) -> _Kept[P] | None:
        kept = self._pages.get(key)
        if kept is None or kept.version != version:
            return None
        is_fresh = time.monotonic() < kept.made_s + SECONDS
        return kept if is_fresh or (key, version) in self._being_made else None

    def _put(self, key: Hashable, made: _Kept[P] | None) -> None:
        self._pages.pop(key, None)
        # Where none could be made, the next caller meets the fault too, instead of an old page.
        if made is not None:
            self._pages[key] = made
        while len(self._pages) > self._most:
            self._pages.popitem(last=False)

    def get_by_address(self, make: Callable[[], P], *more: Hashable, version: Hashable = None) -> P:
        """By the request's method, address and `more`."""
        address = request.full_path
        if len(address) > _LONGEST_ADDRESS:
            return make()
        return self.get((request.method, address, *more), make, version)

    def get_as_stored(self, make: Callable[[], P], *more: Hashable) -> P:
        """By its address too; it shows all that was committed before."""
        # The demo moves its clock.
        version = database.version(), clock.now().replace(second=0, microsecond=0)
        return self.get_by_address(lambda: _connected(make), *more, version=version)

    def clear(self) -> None:
        with self._changed:
            self._pages.clear()


def _connected(make: Callable[[], P]) -> P:
    # Connected here, since a kept page needs no connection.
    with database.connection():
        return make()

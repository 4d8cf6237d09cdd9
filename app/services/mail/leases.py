"""Keeping claims: their leases are short, and are renewed for as long as they are in hand."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from app.errors import StoreUnavailable
from app.store import claiming
from app.store.claiming import Claim
from app.store.db import database, errors

RENEW_EVERY_S = claiming.LEASE.total_seconds() / 4


class LeapWatch:
    """Sees the clock leap: leases that are over by that alone are renewed by their owners."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead_s, self._renewed_by_s = self._seconds_ahead(), 0.0

    def _seconds_ahead(self) -> float:
        # Of the clock, which can be set, before one that cannot.
        return self._clock().timestamp() - time.monotonic()

    def has_just_leapt(self) -> bool:
        # Until owners that are alive have renewed their leases.
        with self._lock:
            ahead_s, before_s = self._seconds_ahead(), self._ahead_s
            self._ahead_s = ahead_s
            if abs(ahead_s - before_s) > claiming.LEASE_LEFT.total_seconds():
                self._renewed_by_s = time.monotonic() + 2 * RENEW_EVERY_S
            return time.monotonic() < self._renewed_by_s


@contextmanager
def kept(claims: Collection[Claim], clock: Callable[[], datetime]) -> Iterator[None]:
    """Another thread renews the leases of `claims` during the block."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(RENEW_EVERY_S):
            # What cannot be renewed is not ended either: `claiming.may_send` refuses.
            with suppress(StoreUnavailable, *errors.DATABASE_ERRORS), database.connection():
                claiming.renew(claims, clock())

    threading.Thread(target=renew, name="leases", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()

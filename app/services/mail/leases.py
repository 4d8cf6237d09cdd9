"""Keeping claims: their leases are short, and are renewed for as long as they are in hand."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from app.errors import StoreUnavailable
from app.store import claiming
from app.store.claiming import Claim
from app.store.db import database, errors

RENEW_EVERY_S = claiming.LEASE.total_seconds() / 4


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

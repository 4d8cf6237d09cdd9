"""One connection to PostgreSQL: how long it waits for answers, and whether it still lives."""

import select
import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from app.store.db.errors import ServerSilent

R = TypeVar("R")

TRUSTED_IDLE_S = 30.0
"""A connection that idled longer is asked first: a firewall on the way may have forgotten it."""
SILENCE_S = 20.0
"""How long a statement may go unanswered: the slowest of ours takes a second or two."""


class Connection(psycopg.Connection[Any]):
    """A connection that gives up on a server which has stopped answering.

    One that is pinned holds more than its transaction: it waits for ever, and is never replaced.
    """

    is_pinned = False

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        """Wait for the server, but no longer than the limit; past it, the connection is closed."""
        if self.is_pinned or timeout is not None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, SILENCE_S)
        except psycopg.OperationalError as error:
            if time.monotonic() - began < SILENCE_S:
                raise
            self.close()
            raise ServerSilent(f"the server has not answered for {SILENCE_S:g} s") from error

    def is_dead(self, idle_s: float = 0) -> bool:
        """Whether the server has ended it; only where there is a doubt is the server asked."""
        if self.closed:
            return True
        look = select.poll()
        look.register(self.fileno(), select.POLLIN)
        # What comes unasked is mostly a goodbye.
        if idle_s < TRUSTED_IDLE_S and not look.poll(0):
            return False
        try:
            self.execute("SELECT 1", prepare=False)
        except psycopg.Error as error:
            return self.has_ended(error)
        return False

    def has_ended(self, error: BaseException | None) -> bool:
        """Whether `error` was the end of it; if so, it is closed."""
        diagnosis = getattr(error, "diag", None)
        if diagnosis is not None and diagnosis.severity_nonlocalized in ("FATAL", "PANIC"):
            self.close()
        return bool(self.closed)

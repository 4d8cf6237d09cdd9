"""When a process asks the mail server, and with how many connections at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app import config
from app.mailer import Connection, MailDeferred
from app.services.mail import results
from app.store import outbox

HOLD_TOLD_EVERY = timedelta(minutes=1)
TOLD_EVERY = timedelta(minutes=10)

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class _Wait:
    """From when until when to wait, and how many connections may go on meanwhile."""

    since: datetime
    until: datetime
    connections: int = 0

    def is_on(self, now: datetime) -> bool:
        """Before its beginning as little as after its end: then the clock has gone back since."""
        return self.since <= now < self.until


class SendThrottle:
    """Pauses where the server turns everybody away; makes do with fewer where it lets in few."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._at_work: list[Connection] = []
        self._pause: _Wait | None = None
        self._crowd: _Wait | None = None
        self._told: dict[str, tuple[str, datetime]] = {}
        self._hold_told_at: datetime | None = None

    def is_held(self) -> bool:
        """Whether ops, or a restored backup, holds the outbox; ops is told of it now and then."""
        if (since := outbox.held_since()) is None:
            return False
        now, told_at = self._clock(), self._hold_told_at
        if told_at is None or abs(now - told_at) >= HOLD_TOLD_EVERY:
            self._hold_told_at = now
            _log.warning("outbox_held", since=since.isoformat(), waiting=outbox.due_count(now))
        return True

    @property
    def paused_until(self) -> datetime | None:
        """Until when the last pause was to be; None once `is_paused` has found it over."""
        pause = self._pause
        return pause.until if pause else None

    def is_paused(self) -> bool:
        """Whether a pause lasts; one that is over is forgotten."""
        pause = self._pause
        if pause is None:
            return False
        is_on = pause.is_on(self._clock())
        if not is_on and self._pause is pause:
            self._pause = None
        return is_on

    def pause(self, why: str) -> datetime:
        """Ask nothing for a while, unless that is so already; until when."""
        if (pause := self._pause) and pause.is_on(self._clock()):
            return pause.until
        wait = self._pause = self._wait()
        self._tell(_log.error, "outbox_paused", why, wait)
        return wait.until

    @contextmanager
    def lane(self, connection: Connection) -> Iterator[bool]:
        """Count a connection among those at work; whether there is room for it."""
        with self._guard:
            crowd, has_room = self._crowd, True
            if crowd and crowd.is_on(self._clock()):
                has_room = len(self._at_work) < crowd.connections
            if has_room:
                self._at_work.append(connection)
        try:
            yield has_room
        finally:
            with self._guard:
                if connection in self._at_work:
                    self._at_work.remove(connection)

    def step_back(self, connection: Connection, error: MailDeferred) -> bool:
        """Leave a server that turned this one away to the others; whether it has room for any.

        One that says "not now" may still be greeting the others: they are found out about when
        they are turned away too. Of one that says nothing, those count that it has let in.
        """
        with self._guard:
            others = sum(
                each is not connection and (error.code is not None or each.is_open)
                for each in self._at_work
            )
            if not others:
                return False
            self._at_work.remove(connection)
            wait = self._crowd = self._wait(others)
        self._tell(_log.warning, "mail_server_crowded", str(error), wait)
        return True

    def note_taken(self) -> None:
        """Note that the server took an email: another pause is news then."""
        self._told.pop("outbox_paused", None)

    def _wait(self, connections: int = 0) -> _Wait:
        now = self._clock()
        span = results.retry_wait(1, config.current().outbox_retry_seconds)
        return _Wait(now, now + span, connections)

    def _tell(self, write: Callable[..., object], event: str, why: str, wait: _Wait) -> None:
        told = self._told.get(event)
        if told is None or told[0] != why or abs(wait.since - told[1]) >= TOLD_EVERY:
            self._told[event] = why, wait.since
            write(event, why=why, again_in_s=round((wait.until - wait.since).total_seconds(), 1))

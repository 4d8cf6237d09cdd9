"""When this process may use the mail server, and with how many connections at once."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog

from app import config
from app.mailer import Connection, MailDeferred
from app.services.mail import backoff
from app.store import attempts, outbox

LOG_HOLD_EVERY = timedelta(minutes=1)
LOG_SAME_REASON_EVERY = timedelta(minutes=10)
# Shares of a process's time in which it computes, found by measuring. Above BUSY it opens no
# further connection; above OVERLOADED the newest one ends: threads wait for the interpreter.
BUSY, OVERLOADED = 0.35, 0.75
# A connection that has sent nothing for so long may hang: the others do not count on it.
HANGS_AFTER = timedelta(seconds=1)
# So long a process leaves a server that is full to another process that sends.
LEFT_TO_OTHERS = timedelta(seconds=5)
SHARE_MEASURED_EVERY_S = 0.1

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_log = structlog.get_logger("mindsum")


class ProcessorShare:
    """How much of its time this process computes: about 1 where it never waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.restart()

    def restart(self, share: float = 1.0) -> None:
        """Measure again from now on; until then it counts as `share`."""
        with self._lock:
            self._share = share
            self._since_s, self._computed_s = time.monotonic(), time.process_time()

    def current(self) -> float:
        """Over the last SHARE_MEASURED_EVERY_S or more, as it was last measured."""
        with self._lock:
            now_s, computed_s = time.monotonic(), time.process_time()
            passed_s = now_s - self._since_s
            if passed_s >= SHARE_MEASURED_EVERY_S:
                self._share = (computed_s - self._computed_s) / passed_s
                self._since_s, self._computed_s = now_s, computed_s
            return self._share


class SendThrottle:
    """Pauses sending, and uses fewer connections where the server is full or this process busy."""

    def __init__(self, clock: Callable[[], datetime], share: ProcessorShare | None = None) -> None:
        self._clock = clock
        # None: no limit by what this process does itself.
        self._share = share
        self._lock = threading.Lock()
        # In the order in which they were opened, with the time of their last email, or that time.
        self._in_use: dict[Connection, datetime] = {}
        # Of this process: where a connection fails, it may be the network of this machine alone.
        # What the server answers to all of us is a pause in the database.
        self._paused_until = self._crowded_until = _LONG_AGO
        # How many connections the server takes while it is crowded.
        self._room = 0
        # The reason and time of the last log line of each event.
        self._logged: dict[str, tuple[str, datetime]] = {}

    def is_held(self) -> bool:
        since = outbox.held_since()
        if since is None:
            return False
        if self._is_news("outbox_held", "", LOG_HOLD_EVERY):
            waiting = outbox.due_count(self._clock())
            _log.warning("outbox_held", since=since.isoformat(), waiting=waiting)
        return True

    @property
    def paused_until(self) -> datetime | None:
        until = self._paused_until
        return until if self._clock() < until else None

    def pause(self, reason: str) -> datetime:
        if until := self.paused_until:
            return until
        wait = self._wait()
        self._paused_until = self._clock() + wait
        self._log_wait(_log.error, "outbox_paused", reason, wait)
        return self._paused_until

    @contextmanager
    def slot(self, connection: Connection) -> Iterator[bool]:
        """Count a connection as in use; yields False if server or process have no room for it."""
        with self._lock:
            has_room = self._has_room()
            if has_room:
                self._in_use[connection] = self._clock()
        try:
            yield has_room
        finally:
            with self._lock:
                self._in_use.pop(connection, None)

    def _has_room(self) -> bool:
        if self._clock() < self._crowded_until and len(self._in_use) >= self._room:
            return False
        if not self._in_use and self._share is not None:
            self._share.restart()
        is_busy = self._share is not None and self._share.current() > BUSY
        return not (is_busy and self._is_one_sending(self._in_use))

    def gives_way(self, connection: Connection) -> bool:
        """Free this connection's slot and return True, if it is one too many for this process."""
        with self._lock:
            *others, newest = self._in_use or [connection]
            if newest is not connection or not self._is_one_sending(others):
                return False
            if self._share is None or self._share.current() <= OVERLOADED:
                return False
            del self._in_use[connection]
            self._share.restart((BUSY + OVERLOADED) / 2)
            return True

    def _is_one_sending(self, connections: Iterable[Connection]) -> bool:
        since = self._clock() - HANGS_AFTER
        return any(self._in_use[each] >= since for each in connections)

    def step_back(self, connection: Connection, error: MailDeferred) -> bool:
        """Free this connection's slot and return True, if the server serves others of ours."""
        with self._lock:
            # After a reply, connections that are still being greeted count too: the server turns
            # them away later if it is down. Without a reply only those that were let in count.
            others = sum(
                each is not connection and (error.code is not None or each.is_open)
                for each in self._in_use
            )
            if others:
                wait = self._wait()
            elif error.code is not None and not connection.is_open and self._has_sent_lately():
                # Another process has the connections that the server allows.
                wait = LEFT_TO_OTHERS
            else:
                return False
            del self._in_use[connection]
            self._room, self._crowded_until = others, self._clock() + wait
        self._log_wait(_log.warning, "mail_server_crowded", str(error), wait)
        return True

    def _has_sent_lately(self) -> bool:
        now = self._clock()
        return attempts.has_sent_between(now - LEFT_TO_OTHERS, now)

    def record_success(self, connection: Connection) -> None:
        with self._lock:
            if connection in self._in_use:
                self._in_use[connection] = self._clock()
        # The next pause is news again.
        self._logged.pop("outbox_paused", None)

    def _wait(self) -> timedelta:
        return backoff.retry_wait(1, config.current().outbox_retry_seconds)

    def _log_wait(
        self, write: Callable[..., object], event: str, reason: str, wait: timedelta
    ) -> None:
        if self._is_news(event, reason, LOG_SAME_REASON_EVERY):
            write(event, why=reason, again_in_s=round(wait.total_seconds(), 1))

    def _is_news(self, event: str, reason: str, every: timedelta) -> bool:
        now = self._clock()
        last_reason, last_at = self._logged.get(event, ("", _LONG_AGO))
        if reason == last_reason and now - last_at < every:
            return False
        self._logged[event] = reason, now
        return True

"""Faults planned into a process of the product: it kills or stops itself at a chosen point.

The product has no code for this: its functions are wrapped in the process that gets the fault.
"""

import json
import os
import re
import smtplib
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from signal import SIGKILL, SIGSTOP, pthread_kill
from typing import Any

from app.mailer.connection import Connection
from app.mailer.wire import Outgoing
from app.services.mail import leases
from app.services.mail.sender import Prepared
from app.store import claiming
from app.store.claiming import Claim
from app.store.db import database, sqlite
from tests.harness.waiting import PATIENCE_S

_WRITE = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_DOT = b".\r\n"
_MESSAGE_ID = re.compile(rb"(?mi)^Message-ID: *(\S+)")
_WRITING = {"before_commit", "after_commit", "before_end"}


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """At which point a process sends itself a signal, and the file in which it notes that.

    Points: before_commit, after_commit (of transactions that wrote, to `table` if one is named),
    after_claim, smtp_sender, smtp_recipient, smtp_content (half of it is sent),
    smtp_dot (all but the final dot is sent), after_250, before_end. The process acts when it
    reaches the point for the `occurrence`th time, and never without a point. `lease_s` shortens
    the leases of this process only.
    """

    journal: str
    role: str
    point: str = ""
    occurrence: int = 1
    table: str = ""
    signal: int = SIGKILL
    lease_s: float = 0.0


@dataclass(slots=True)
class Delivery:
    """An email that a thread delivers: "begun", "dot_sent" or "accepted" by the server."""

    message_id: str
    email_id: int
    stage: str = "begun"
    in_content: bool = False
    is_ending: bool = False


class FaultInjector:
    """Carries out the fault of this process, and notes what its threads deliver at that moment."""

    def __init__(self, fault: PlannedFault) -> None:
        self._fault = fault
        self._reached = 0
        # Of each thread, until their rows say how they ended.
        self._deliveries: dict[int, list[Delivery]] = {}
        self._written = threading.local()
        # The thread that carries out the fault never releases it: the others stay where they are.
        self._gate = threading.RLock()

    def install(self) -> None:
        """Wrap the product's functions; call it after create_app and before any connection."""
        bound: Any = database.db.obj
        bound.execute_sql = self._wrap_execute(bound, bound.execute_sql)
        bound.commit = self._wrap_commit(bound.commit)
        bound.rollback = self._wrap_rollback(bound.rollback)
        mail: Any = claiming
        if self._fault.lease_s:
            mail.LEASE = timedelta(seconds=self._fault.lease_s)
            mail.LEASE_LEFT = mail.LEASE / 2
            renewing: Any = leases
            renewing.RENEW_EVERY_S = self._fault.lease_s / 4
        mail.claim = self._wrap("after_claim", claiming.claim)
        mail.end_sent = self._wrap_end_sent(claiming.end_sent)
        connection: Any = Connection
        connection._begin = self._wrap_begin(Connection._begin)
        connection._finish = self._wrap_finish(Connection._finish)
        client: Any = smtplib.SMTP
        client.send = self._wrap_send(smtplib.SMTP.send)

    def _reach(self, point: str) -> None:
        """Carry out the fault if it is planned for this point and occurrence."""
        with self._while_no_thread_writes(point), self._gate:
            if point != self._fault.point:
                return
            self._reached += 1
            if self._reached == self._fault.occurrence:
                self._write("reached", point=point, deliveries=self._current_deliveries())
                # To this thread: a signal to the process would let it run on for a moment.
                pthread_kill(threading.get_ident(), self._fault.signal)

    def _while_no_thread_writes(self, point: str) -> AbstractContextManager[Any]:
        """Stop no other thread of this process while it holds SQLite's write lock."""
        is_end = point == self._fault.point and self._fault.signal == SIGSTOP
        return _no_thread_writing() if is_end and point not in _WRITING else nullcontext()

    def _current_deliveries(self) -> list[dict[str, Any]]:
        return [
            {
                "message_id": delivery.message_id,
                "stage": delivery.stage,
                "is_own": thread == threading.get_ident(),
            }
            for thread, deliveries in self._deliveries.items()
            for delivery in deliveries
        ]

    def _write(self, event: str, **facts: Any) -> None:
        line = json.dumps({"event": event, "pid": os.getpid(), "role": self._fault.role, **facts})
        journal = os.open(self._fault.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(journal, line.encode() + b"\n")
        os.fsync(journal)
        os.close(journal)

    def _own(self) -> list[Delivery]:
        return self._deliveries.get(threading.get_ident(), [])

    def _delivery(self) -> Delivery | None:
        """The one that this thread has not ended yet."""
        under_way = [each for each in self._own() if each.stage != "accepted"]
        return under_way[0] if under_way else None

    def _forget(self, *over: Delivery) -> None:
        with self._gate:
            left = [each for each in self._own() if each not in over]
            self._deliveries[threading.get_ident()] = left

    def _wrap_execute(self, bound: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        def execute_sql(sql: Any, *arguments: Any, **more: Any) -> Any:
            wrote = _WRITE.match(str(sql))
            if wrote and bound.in_transaction():
                self._written.tables = {*self._tables(), wrote[1]}
            return original(sql, *arguments, **more)

        return execute_sql

    def _tables(self) -> set[str]:
        return getattr(self._written, "tables", set())

    def _wrap_commit(self, original: Callable[[], None]) -> Callable[[], None]:
        def commit() -> None:
            tables = self._tables()
            counts = bool(tables) and (not self._fault.table or self._fault.table in tables)
            if counts:
                self._reach("before_commit")
            original()
            self._written.tables = set()
            self._forget(*[each for each in self._own() if each.is_ending])
            if counts:
                self._reach("after_commit")

        return commit

    def _wrap_rollback(self, original: Callable[[], None]) -> Callable[[], None]:
        def rollback() -> None:
            self._written.tables = set()
            for each in self._own():
                each.is_ending = False
            original()

        return rollback

    def _wrap(self, point: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **more: Any) -> Any:
            result = original(*arguments, **more)
            if result:
                self._reach(point)
            return result

        return act

    def _wrap_end_sent(self, original: Callable[..., set[int]]) -> Callable[..., set[int]]:
        def end_sent(claims: Collection[Claim], now: datetime) -> set[int]:
            self._reach("before_end")
            ours = original(claims, now)
            for delivery in self._own():
                delivery.is_ending = delivery.email_id in ours
                if not delivery.is_ending:
                    self._write("outlived", message_id=delivery.message_id)
                    self._forget(delivery)
            return ours

        return end_sent

    def _wrap_begin(self, original: Callable[..., None]) -> Callable[..., None]:
        def begin(connection: Connection, message: Prepared) -> None:
            if (before := self._delivery()) is not None:
                self._write("not_ended", message_id=before.message_id)
            found = _MESSAGE_ID.search(message.content)
            assert found
            delivery = Delivery(found[1].decode(), message.claim.email.id)
            with self._gate:
                self._deliveries[threading.get_ident()] = [*self._own(), delivery]
            try:
                original(connection, message)
            except BaseException:
                self._forget(delivery)
                raise

        return begin

    def _wrap_finish(self, original: Callable[..., None]) -> Callable[..., None]:
        def finish(connection: Connection, *messages: Outgoing | None) -> None:
            delivery = self._delivery()
            assert delivery
            delivery.in_content = True
            try:
                original(connection, *messages)
            except BaseException as error:
                if delivery.stage == "dot_sent" and getattr(error, "code", None) is None:
                    self._write("reply_lost", message_id=delivery.message_id)
                self._forget(delivery)
                raise
            with self._gate:
                delivery.stage = "accepted"
            self._reach("after_250")

        return finish

    def _wrap_send(
        self, original: Callable[[smtplib.SMTP, Any], None]
    ) -> Callable[[smtplib.SMTP, Any], None]:
        def send(client: smtplib.SMTP, data: bytes | str) -> None:
            delivery = self._delivery()
            raw = data if isinstance(data, bytes) else data.encode("utf-8")
            if delivery is None or not delivery.in_content:
                original(client, data)
            elif raw.startswith(_DOT):
                self._reach("smtp_dot")
                with self._gate:
                    delivery.stage, delivery.in_content = "dot_sent", False
                original(client, data)
            else:
                self._send_content(client, raw, original)
                return
            for command, point in ((b"MAIL FROM:", "smtp_sender"), (b"RCPT TO:", "smtp_recipient")):
                if command in raw:
                    self._reach(point)

        return send

    def _send_content(
        self, client: smtplib.SMTP, content: bytes, original: Callable[[smtplib.SMTP, Any], None]
    ) -> None:
        middle = len(content) // 2 if self._fault.point == "smtp_content" else len(content)
        original(client, content[:middle])
        self._reach("smtp_content")
        if content[middle:]:
            original(client, content[middle:])


@contextmanager
def _no_thread_writing() -> Iterator[None]:
    queue = sqlite._write_lock._queue
    assert queue.enter(PATIENCE_S), "a thread kept SQLite's write lock"
    try:
        yield
    finally:
        queue.leave()

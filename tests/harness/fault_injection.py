"""A process of the product that ends or stops itself at a chosen passage of one seam.

The product knows nothing of this: its own functions are wrapped in the process that is to die.
"""

import json
import os
import re
import signal
import smtplib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from app.mailer.connection import Connection
from app.store import outbox
from app.store.db import database, sqlite
from app.store.models import OutboxStatus
from app.store.outbox import Claim

_WRITE = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_DOT = b".\r\n"
_WRITING = {"before_commit", "after_commit", "before_settle"}


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a process ends or stops (by which signal), and the journal in which it says so.

    Points: before_commit, after_commit (of transactions that wrote, to `table` if one is named),
    after_claim, after_renew, smtp_sender, smtp_recipient, smtp_content (in its middle), smtp_dot
    (all but the final dot is sent), after_250, before_settle. The passages are counted from 1; a
    process without a point lives on. `lease_s` shortens its own leases, and nobody else's.
    """

    journal: str
    role: str
    point: str = ""
    passage: int = 1
    table: str = ""
    by: int = signal.SIGKILL
    lease_s: float = 0.0


@dataclass(slots=True)
class Hand:
    """The email that a thread has in hand: "begun", "ended" (its dot is on the way) or "taken"."""

    message_id: str
    stage: str = "begun"
    in_content: bool = False
    is_settling: bool = False


class Deadly:
    """One process's fate, and what its threads have in hand when it comes."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._passed = 0
        self._hands: dict[int, Hand] = {}
        self._written = threading.local()
        # Whoever is about to die keeps it, so that no other thread gets any further meanwhile.
        self._gate = threading.RLock()

    def arm(self) -> None:
        """Wrap the seams; the application must exist, and nothing be connected yet."""
        bound: Any = database.db.obj
        bound.execute_sql = self._noting_writes(bound, bound.execute_sql)
        bound.commit = self._committing(bound.commit)
        bound.rollback = self._rolling_back(bound.rollback)
        mail: Any = outbox
        if self._fate.lease_s:
            lease = timedelta(seconds=self._fate.lease_s)
            mail.lease = lambda: lease
        mail.claim = self._then("after_claim", outbox.claim)
        mail.renew = self._then("after_renew", outbox.renew)
        mail.end_claim = self._settling(outbox.end_claim)
        connection: Any = Connection
        connection.deliver = self._delivering(Connection.deliver)
        client: Any = smtplib.SMTP
        client.send = self._sending(smtplib.SMTP.send)

    def _reach(self, point: str) -> None:
        """Pass a point, unless it is the end."""
        with self._apart_from_writing(point), self._gate:
            if point != self._fate.point:
                return
            self._passed += 1
            if self._passed == self._fate.passage:
                self._write("reached", point=point, hands=self._in_hand())
                # To this very thread: it must not go on before the process has stopped.
                signal.pthread_kill(threading.get_ident(), self._fate.by)

    def _apart_from_writing(self, point: str) -> AbstractContextManager[Any]:
        """No other thread may be stopped with SQLite's one right to write: nobody could go on."""
        is_end = point == self._fate.point and self._fate.by == signal.SIGSTOP
        return sqlite._thread_lock if is_end and point not in _WRITING else nullcontext()

    def _in_hand(self) -> list[dict[str, Any]]:
        return [
            {
                "message_id": hand.message_id,
                "stage": hand.stage,
                "is_own": thread == threading.get_ident(),
            }
            for thread, hand in self._hands.items()
        ]

    def _write(self, event: str, **facts: Any) -> None:
        line = json.dumps({"event": event, "pid": os.getpid(), "role": self._fate.role, **facts})
        journal = os.open(self._fate.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(journal, line.encode() + b"\n")
        os.fsync(journal)
        os.close(journal)

    def _hand(self) -> Hand | None:
        return self._hands.get(threading.get_ident())

    def _drop(self) -> None:
        with self._gate:
            self._hands.pop(threading.get_ident(), None)

    def _noting_writes(self, bound: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        def execute_sql(sql: Any, *arguments: Any, **more: Any) -> Any:
            wrote = _WRITE.match(str(sql))
            if wrote and bound.in_transaction():
                self._written.tables = {*self._tables(), wrote[1]}
            return original(sql, *arguments, **more)

        return execute_sql

    def _tables(self) -> set[str]:
        return getattr(self._written, "tables", set())

    def _committing(self, original: Callable[[], None]) -> Callable[[], None]:
        def commit() -> None:
            tables = self._tables()
            counts = bool(tables) and (not self._fate.table or self._fate.table in tables)
            if counts:
                self._reach("before_commit")
            original()
            self._written.tables = set()
            hand = self._hand()
            if hand and hand.is_settling:
                self._drop()
            if counts:
                self._reach("after_commit")

        return commit

    def _rolling_back(self, original: Callable[[], None]) -> Callable[[], None]:
        def rollback() -> None:
            self._written.tables = set()
            hand = self._hand()
            if hand:
                hand.is_settling = False
            original()

        return rollback

    def _then(self, point: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **more: Any) -> Any:
            result = original(*arguments, **more)
            if result:
                self._reach(point)
            return result

        return act

    def _settling(self, original: Callable[..., bool]) -> Callable[..., bool]:
        def settle(claimed: Claim, status: OutboxStatus, **more: Any) -> bool:
            if status is not OutboxStatus.SENT:
                return original(claimed, status, **more)
            hand = self._hand()
            self._reach("before_settle")
            is_ours = original(claimed, status, **more)
            if hand and is_ours:
                hand.is_settling = True
            elif hand:
                self._write("outlived", message_id=hand.message_id)
                self._drop()
            return is_ours

        return settle

    def _delivering(self, original: Callable[..., None]) -> Callable[..., None]:
        def deliver(connection: Connection, message: EmailMessage, *more: Any) -> None:
            if (before := self._hand()) is not None:
                self._write("unsettled", message_id=before.message_id)
            hand = Hand(str(message["Message-ID"]))
            with self._gate:
                self._hands[threading.get_ident()] = hand
            try:
                original(connection, message, *more)
            except BaseException as error:
                if hand.stage == "ended" and getattr(error, "code", None) is None:
                    self._write("reply_lost", message_id=hand.message_id)
                self._drop()
                raise
            with self._gate:
                hand.stage = "taken"
            self._reach("after_250")

        return deliver

    def _sending(
        self, original: Callable[[smtplib.SMTP, Any], None]
    ) -> Callable[[smtplib.SMTP, Any], None]:
        def send(client: smtplib.SMTP, data: bytes | str) -> None:
            hand = self._hand()
            raw = data if isinstance(data, bytes) else data.encode("utf-8")
            if hand is None or not hand.in_content:
                original(client, data)
                for verb, point in (
                    (b"MAIL FROM:", "smtp_sender"),
                    (b"RCPT TO:", "smtp_recipient"),
                ):
                    if raw.startswith(verb):
                        self._reach(point)
                if hand:
                    hand.in_content = raw == b"DATA\r\n"
                return
            is_end = raw == _DOT or raw.endswith(b"\r\n" + _DOT)
            self._send_content(client, raw.removesuffix(_DOT) if is_end else raw, original)
            if is_end:
                self._reach("smtp_dot")
                with self._gate:
                    hand.stage, hand.in_content = "ended", False
                original(client, _DOT)

        return send

    def _send_content(
        self, client: smtplib.SMTP, content: bytes, original: Callable[[smtplib.SMTP, Any], None]
    ) -> None:
        if not content:
            return
        middle = len(content) // 2 if self._fate.point == "smtp_content" else len(content)
        original(client, content[:middle])
        self._reach("smtp_content")
        if content[middle:]:
            original(client, content[middle:])

"""Clients who request sessions and therapists who answer, each until the site has replied."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.harness.processes import Site
from tests.harness.smtp_server import Accepted
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.kill_report import header

_PAUSE_S = 0.03


@dataclass(frozen=True, slots=True)
class Wanted:
    """The session that one client requests."""

    number: int
    therapist: str
    starts_at: datetime


@dataclass
class Clients:
    """Threads that request up to `allowed` sessions and answer them, through the web.

    A call that fails is repeated: with the same Idempotency-Key, or as the same click.
    """

    site: Site
    therapists: Sequence[str]
    first_at: datetime
    seed: int
    allowed: int = 0
    references: dict[int, set[str]] = field(default_factory=dict)
    """The references that the site returned for each number."""
    answers: dict[str, str] = field(default_factory=dict)
    """By reference: accept or decline."""
    retries: Counter[str] = field(default_factory=Counter)
    """How many calls were repeated, by the reason."""
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = 0
        self._read = 0
        self._receipts: set[str] = set()
        self._requests: dict[str, Accepted] = {}
        self._answering: set[str] = set()
        self._over = threading.Event()
        works = [self._request] * 3 + [self._answer] * 3
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_idle(self) -> bool:
        """Whether everything allowed has been requested and answered."""
        return len(self.answers) >= self.allowed

    def wanted(self, number: int) -> Wanted:
        hours, which = divmod(number, len(self.therapists))
        return Wanted(number, self.therapists[which], self.first_at + timedelta(hours=hours))

    def _repeat(self, work: Callable[[], bool]) -> None:
        while not self._over.is_set():
            try:
                if not work():
                    time.sleep(_PAUSE_S)
            except Exception as error:
                self.errors.append(repr(error))

    def _request(self) -> bool:
        with self._lock:
            if self._requested >= self.allowed:
                return False
            number = self._requested
            self._requested += 1
        self.references[number] = {self._reference_of(self.wanted(number))}
        # Some clients send the same request again although it was answered.
        if random.Random(self.seed + number).random() < 0.1:
            self.references[number].add(self._reference_of(self.wanted(number)))
        return True

    def _reference_of(self, wanted: Wanted) -> str:
        body = {
            "therapist": wanted.therapist,
            "client": {
                "name": f"Dee {wanted.number % 40}",
                "email": f"dee{wanted.number % 40}@clients.example",
                "timezone": "America/New_York",
            },
            "starts_at": wanted.starts_at.isoformat(),
            "kind": "paid",
            "note": "for your eyes",
        }
        key = f"number-{wanted.number}"
        status, booking = self._until_answered("POST", "/api/v1/bookings", body=body, key=key)
        assert status == 201, (status, booking)
        return str(booking["reference"])

    def _answer(self) -> bool:
        mail = self._next_request_email()
        if mail is None:
            return False
        # One therapist in ten declines; which, follows from the email.
        purpose = "accept" if sum(header(mail, "Message-ID").encode()) % 10 else "decline"
        path = self.site.link(mail, purpose)
        status, page = self._until_answered("GET", path)
        assert status == 200, (status, page)
        status, page = self._until_answered("POST", path, form="")
        assert status == 200, (status, page)
        self.answers[header(mail, "X-Mindsum-Booking")] = purpose
        return True

    def _next_request_email(self) -> Accepted | None:
        """An own request that is not being answered yet, once its client has the receipt too."""
        with self._lock:
            messages = self.site.mail.messages
            while self._read < len(messages):
                mail = messages[self._read]
                self._read += 1
                kind, about = header(mail, "X-Mindsum-Email"), header(mail, "X-Mindsum-Booking")
                if kind == "booking_received":
                    self._receipts.add(about)
                elif kind == "booking_requested":
                    self._requests.setdefault(about, mail)
            own = set().union(*self.references.values())
            for about in own & self._receipts & set(self._requests) - self._answering:
                self._answering.add(about)
                return self._requests[about]
        return None

    def _until_answered(self, *call: Any, **more: Any) -> tuple[int, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer = self.site.call(*call, **more)
                if status != 503:
                    return status, answer
                reason = "503"
            except (OSError, http.client.HTTPException) as error:
                reason = type(error).__name__
            self.retries[reason] += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"{call[:2]}: no answer in {PATIENCE_S} s; last: {reason}")
            time.sleep(_PAUSE_S)

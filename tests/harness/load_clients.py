"""Clients who ask and therapists who answer, again and again until the house has heard them."""

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
from tests.scenarios.kill_report import header

PATIENCE_S = 120
_BREATH_S = 0.03


@dataclass(frozen=True, slots=True)
class Wish:
    """What one client asks for."""

    number: int
    therapist: str
    starts_at: datetime


@dataclass
class Clients:
    """Threads that ask and answer through the web, as long as `allowed` says.

    Whoever gets no answer asks again: with the same Idempotency-Key, or with the same click.
    """

    site: Site
    therapists: Sequence[str]
    first_at: datetime
    seed: int
    allowed: int = 0
    told: dict[int, set[str]] = field(default_factory=dict)
    """The references that the house gave to each wish."""
    answered: dict[str, str] = field(default_factory=dict)
    """What each reference was answered with: accept or decline."""
    again: Counter[str] = field(default_factory=Counter)
    """How often something had to be said again, by the reason."""
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._seen = 0
        self._receipts: set[str] = set()
        self._requests: dict[str, Accepted] = {}
        self._taken_up: set[str] = set()
        self._over = threading.Event()
        works = [self._ask, self._ask, self._ask, self._answer, self._answer, self._answer]
        self._threads = [threading.Thread(target=self._go_on, args=(work,)) for work in works]

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
        """Whether all that was allowed has been asked and answered."""
        return len(self.answered) >= self.allowed

    def wish(self, number: int) -> Wish:
        hours, which = divmod(number, len(self.therapists))
        return Wish(number, self.therapists[which], self.first_at + timedelta(hours=hours))

    def _go_on(self, work: Callable[[], bool]) -> None:
        while not self._over.is_set():
            try:
                if not work():
                    time.sleep(_BREATH_S)
            except Exception as error:
                self.wrong.append(repr(error))

    def _ask(self) -> bool:
        with self._lock:
            if self._asked >= self.allowed:
                return False
            number = self._asked
            self._asked += 1
        self.told[number] = {self._asked_for(self.wish(number))}
        # Somebody who is not sure whether the answer was meant for them asks once more.
        if random.Random(self.seed + number).random() < 0.1:
            self.told[number].add(self._asked_for(self.wish(number)))
        return True

    def _asked_for(self, wish: Wish) -> str:
        body = {
            "therapist": wish.therapist,
            "client": {
                "name": f"Dee {wish.number % 40}",
                "email": f"dee{wish.number % 40}@clients.example",
                "timezone": "America/New_York",
            },
            "starts_at": wish.starts_at.isoformat(),
            "kind": "paid",
            "note": "for your eyes",
        }
        status, booking = self._until_answered(
            lambda: self.site.call("POST", "/api/v1/bookings", body, key=f"wish-{wish.number}")
        )
        assert status == 201, (status, booking)
        return str(booking["reference"])

    def _answer(self) -> bool:
        mail = self._next_request()
        if mail is None:
            return False
        # About every tenth therapist says no, and says it again when asked again.
        aim = "accept" if sum(header(mail, "Message-ID").encode()) % 10 else "decline"
        path = self.site.link(mail, aim)
        status, _ = self._until_answered(lambda: self.site.call("GET", path))
        assert status == 200
        status, page = self._until_answered(lambda: self.site.call("POST", path, form=""))
        assert status == 200, (status, page)
        self.answered[header(mail, "X-Mindsum-Booking")] = aim
        return True

    def _next_request(self) -> Accepted | None:
        """A request that nobody has answered yet, once its client has the receipt as well."""
        with self._lock:
            messages = self.site.mail.messages
            while self._seen < len(messages):
                mail = messages[self._seen]
                self._seen += 1
                kind, about = header(mail, "X-Mindsum-Email"), header(mail, "X-Mindsum-Booking")
                if kind == "booking_received":
                    self._receipts.add(about)
                elif kind == "booking_requested":
                    self._requests.setdefault(about, mail)
            for about in self._receipts & set(self._requests) - self._taken_up:
                self._taken_up.add(about)
                return self._requests[about]
        return None

    def _until_answered(self, ask: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer = ask()
                if status != 503:
                    return status, answer
                why = "503"
            except (OSError, http.client.HTTPException) as error:
                why = type(error).__name__
            self.again[why] += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody answered within {PATIENCE_S} s ({why})")
            time.sleep(_BREATH_S)

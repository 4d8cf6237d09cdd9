"""Sixteen people at their browsers: each does what comes to mind, and notes what the house said."""

import html
import http.client
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app import clock
from tests.harness.mail_reader import MailReader
from tests.harness.processes import Site
from tests.harness.waiting import PATIENCE_S

THERAPISTS = ("asha", "bran", "chi")
HOT_HOURS = (5, 6, 7, 9, 26, 27, 31, 50)
TO_ANSWER = ("booking_requested", "answer_reminder", "answer_late")
TO_MANAGE = ("booking_received", "booking_accepted", "your_links", "session_reminder")
TO_CHOOSE = ("answer_late_client", "booking_declined", "booking_expired", "therapist_cancelled")


@dataclass
class Notes:
    """What the house said, to be held against what is so in the end."""

    done: list[tuple[str, str]] = field(default_factory=list)
    """(reference, event) of each answer that said: this is so."""
    seen: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(reference, its events) as somebody was shown them."""
    asked: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Of each reference handed out: the address, therapist and start asked for."""
    chosen: list[tuple[str, str]] = field(default_factory=list)
    """(old reference, therapist@start) of each choice of someone else that was taken."""
    said: Counter[str] = field(default_factory=Counter)
    """How often which deed was answered with which status."""
    wrong: list[str] = field(default_factory=list)
    """Answers that nobody should ever get."""


@dataclass
class Person:
    """A client who also happens to read the therapists' mail."""

    number: int
    site: Site
    mail_reader: MailReader
    notes: Notes
    chance: random.Random

    def live(self, over: threading.Event) -> None:
        """Do one thing after the other until it is over."""
        deeds: list[Callable[[], None]] = [
            *[self.ask] * 6, *[self.answer] * 8, *[self.manage] * 3, *[self.cancel_by_api] * 3,
            *[self.choose] * 2, *[self.look] * 2, self.ask_for_links,
        ]  # fmt: skip
        while not over.is_set():
            try:
                self.chance.choice(deeds)()
            except Exception as error:
                self.notes.wrong.append(f"person {self.number}: {error!r}")

    def ask(self) -> None:
        """Ask one of the therapists for one of the times that everybody wants."""
        start = clock.now().replace(minute=0, second=0, microsecond=0)
        start += timedelta(hours=self.chance.choice(HOT_HOURS))
        therapist = self.chance.choice(THERAPISTS)
        # Two people share an address, so that one client asks twice at the same instant.
        address = f"dee{self.number // 2}@clients.example"
        body = {
            "therapist": therapist,
            "client": {"name": "Dee Stone", "email": address, "timezone": "America/New_York"},
            "starts_at": start.isoformat(),
            "kind": self.chance.choice(["paid", "paid", "free_consultation"]),
            "note": "for their eyes",
        }
        key = f"{self.number}-{self.chance.getrandbits(64)}"
        for _ in range(self.chance.choice([1, 1, 2])):
            status, booking = self._say("ask", "POST", "/api/v1/bookings", body, key=key)
            if status == 201:
                wanted = (address, therapist, start.isoformat())
                if self.notes.asked.setdefault(booking["reference"], wanted) != wanted:
                    self.notes.wrong.append(f"{booking['reference']} was given to two")
                self.notes.done.append((booking["reference"], "requested"))

    def answer(self) -> None:
        """Accept or decline by a link in the newest email, or in any older one."""
        emails = self.mail_reader.emails(*TO_ANSWER)
        if not emails:
            time.sleep(0.1)
            return
        email = emails[-1 - int(len(emails) * self.chance.random() ** 3)]
        aim = self.chance.choice(["accept", "accept", "accept", "decline"])
        path = self.site.link(email.mail, aim)
        self._say("open", "GET", path)
        another = threading.Thread(target=self._click, args=(aim, path, email.reference))
        is_double = self.chance.random() < 0.3
        if is_double:
            another.start()
        self._click(aim, path, email.reference)
        if is_double:
            another.join()

    def _click(self, aim: str, path: str, reference: str) -> None:
        if self._say(aim, "POST", path, form="")[0] == 200:
            self.notes.done.append((reference, "accepted" if aim == "accept" else "declined"))

    def manage(self) -> None:
        """Withdraw or cancel on the page, on the terms that it shows."""
        path = self._own_link(TO_MANAGE, "manage")
        status, page = self._say("open", "GET", f"{path}/cancel") if path else (0, "")
        agreed = re.search(r'name="agreed" value="([^"]+)"', str(page))
        if path and agreed and status == 200:
            answer = self._say("manage", "POST", f"{path}/cancel", form=f"agreed={agreed[1]}")
            if answer[0] == 200:
                self.notes.done.append((self._about, "withdrawn or cancelled_by_client"))

    def cancel_by_api(self) -> None:
        """Cancel any booking for its client or, mostly, its therapist; now and then by command."""
        if not self.notes.asked:
            return
        known = list(self.notes.asked)
        reference = known[-1 - int(len(known) * self.chance.random() ** 2)]
        by = self.chance.choice(["client", "therapist", "therapist", "therapist"])
        if self.chance.random() < 0.01:
            said = self._command("booking", "cancel", reference, "--by", by)
        else:
            path = f"/api/v1/bookings/{reference}/cancel"
            said = self._say("cancel", "POST", path, {"by": by})[0] == 200
        if said:
            client = "withdrawn or cancelled_by_client"
            event = client if by == "client" else "cancelled_by_therapist"
            self.notes.done.append((reference, event))

    def choose(self) -> None:
        """Choose someone else, from what the page offers."""
        path = self._own_link(TO_CHOOSE, "choose")
        _, page = self._say("open", "GET", path) if path else (0, "")
        choices = re.findall(r'name="choice" value="([^"]+)"', str(page))
        if path and choices:
            choice = html.unescape(self.chance.choice(choices))
            form = f"choice={choice.replace('+', '%2B').replace(':', '%3A')}"
            for _ in range(self.chance.choice([1, 2])):
                if self._say("choose", "POST", path, form=form)[0] == 200:
                    self.notes.chosen.append((self._about, choice))

    def look(self) -> None:
        """Look a booking up."""
        if self.notes.asked:
            reference = self.chance.choice(list(self.notes.asked))
            status, booking = self._say("look", "GET", f"/api/v1/bookings/{reference}")
            if status == 200:
                events = tuple(line["event"] for line in booking["timeline"])
                self.notes.seen.append((reference, events))

    def ask_for_links(self) -> None:
        """Have the links sent again."""
        form = f"email=dee{self.number // 2}%40clients.example"
        self._say("my-links", "POST", "/my-links", form=form)

    def _own_link(self, kinds: tuple[str, ...], aim: str) -> str:
        mine = self.mail_reader.emails(*kinds, to=f"dee{self.number // 2}@clients.example")
        if not mine:
            return ""
        email = mine[-1 - int(len(mine) * self.chance.random() ** 2)]
        self._about = email.reference
        if email.kind == "your_links" or (
            email.kind == "session_reminder" and aim not in email.mail.raw.decode()
        ):
            return ""
        return self.site.link(email.mail, aim)

    def _command(self, *arguments: str) -> bool:
        try:
            self.site.mindsum(*arguments)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            # A refusal is one plain line, and nothing else will do.
            if "Traceback" in str(error) or "mindsum:" not in str(error):
                self.notes.wrong.append(str(error))
            return False
        return True

    def _say(
        self, deed: str, method: str, path: str, body: Any = None, *, form: str | None = None,
        key: str = "",
    ) -> tuple[int, Any]:  # fmt: skip
        """One request, said again until somebody answers it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer = self.site.call(method, path, body, form, key)
            except (OSError, http.client.HTTPException):
                self.notes.said[f"{deed}: hung up"] += 1
                status = 0
            if status not in (0, 503):
                break
            assert time.monotonic() < deadline, "nobody answers any more"
            time.sleep(0.05)
        self.notes.said[f"{deed}: {status}"] += 1
        if status >= 500:
            self.notes.wrong.append(f"{method} {path[:40]}: {status} {str(answer)[:300]}")
        return status, answer

"""People who use the site at the same time, at random, and note what it replied."""

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
POPULAR_HOURS = (5, 6, 7, 9, 26, 27, 31, 50)
ANSWER_EMAILS = ("booking_requested", "answer_reminder", "answer_late")
MANAGE_EMAILS = ("booking_received", "booking_accepted", "your_links", "session_reminder")
CHOOSE_EMAILS = ("answer_late_client", "booking_declined", "booking_expired", "therapist_cancelled")


@dataclass
class Notes:
    """What the site replied, to be compared with its database at the end."""

    done: list[tuple[str, str]] = field(default_factory=list)
    """(reference, event) of each reply that confirmed it."""
    seen: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(reference, events of its timeline) of each booking that was shown."""
    requested: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By reference: the email address, therapist and start that were requested."""
    chosen: list[tuple[str, str]] = field(default_factory=list)
    """(old reference, therapist@start) of each accepted choice of another therapist."""
    replies: Counter[str] = field(default_factory=Counter)
    """How many replies of each "action: status"."""
    errors: list[str] = field(default_factory=list)
    """Replies that the site may never give."""


@dataclass
class Person:
    """A client who also opens the links in the therapists' emails."""

    number: int
    site: Site
    mail_reader: MailReader
    notes: Notes
    chance: random.Random

    @property
    def address(self) -> str:
        # Two people share one, so that one client requests two sessions at the same moment.
        return f"dee{self.number // 2}@clients.example"

    def act_until(self, over: threading.Event) -> None:
        """Take one random action after another."""
        actions: list[Callable[[], None]] = [
            *[self.request] * 6, *[self.answer] * 8, *[self.manage] * 3, *[self.cancel_by_api] * 3,
            *[self.choose] * 2, *[self.look] * 2, self.request_links,
        ]  # fmt: skip
        while not over.is_set():
            try:
                self.chance.choice(actions)()
            except Exception as error:
                self.notes.errors.append(f"person {self.number}: {error!r}")

    def request(self) -> None:
        """Request one of the popular times of a therapist, once or twice with the same key."""
        start = clock.now().replace(minute=0, second=0, microsecond=0)
        start += timedelta(hours=self.chance.choice(POPULAR_HOURS))
        therapist = self.chance.choice(THERAPISTS)
        body = {
            "therapist": therapist,
            "client": {"name": "Dee Stone", "email": self.address, "timezone": "America/New_York"},
            "starts_at": start.isoformat(),
            "kind": self.chance.choice(["paid", "paid", "free_consultation"]),
            "note": "for their eyes",
        }
        key = f"{self.number}-{self.chance.getrandbits(64)}"
        for _ in range(self.chance.choice([1, 1, 2])):
            status, booking = self._send("request", "POST", "/api/v1/bookings", body, key=key)
            if status == 201:
                wanted = (self.address, therapist, start.isoformat())
                if self.notes.requested.setdefault(booking["reference"], wanted) != wanted:
                    self.notes.errors.append(f"{booking['reference']} was given to two")
                self.notes.done.append((booking["reference"], "requested"))

    def answer(self) -> None:
        """Accept or decline by a link in an email, mostly a recent one; sometimes click twice."""
        emails = self.mail_reader.emails(*ANSWER_EMAILS)
        if not emails:
            time.sleep(0.1)
            return
        email = emails[-1 - int(len(emails) * self.chance.random() ** 3)]
        purpose = self.chance.choice(["accept", "accept", "accept", "decline"])
        path = self.site.link(email.mail, purpose)
        self._send("open", "GET", path)
        another = threading.Thread(target=self._click, args=(purpose, path, email.reference))
        is_double = self.chance.random() < 0.3
        if is_double:
            another.start()
        self._click(purpose, path, email.reference)
        if is_double:
            another.join()

    def _click(self, purpose: str, path: str, reference: str) -> None:
        if self._send(purpose, "POST", path, form="")[0] == 200:
            event = "accepted" if purpose == "accept" else "declined"
            self.notes.done.append((reference, event))

    def manage(self) -> None:
        """Withdraw or cancel on the page, on the terms that it shows."""
        path = self._own_link(MANAGE_EMAILS, "manage")
        status, page = self._send("open", "GET", f"{path}/cancel") if path else (0, "")
        agreed = re.search(r'name="agreed" value="([^"]+)"', str(page))
        if path and agreed and status == 200:
            reply = self._send("manage", "POST", f"{path}/cancel", form=f"agreed={agreed[1]}")
            if reply[0] == 200:
                self.notes.done.append((self._reference, "withdrawn or cancelled_by_client"))

    def cancel_by_api(self) -> None:
        """Cancel any booking, mostly for its therapist; one time in a hundred by command."""
        if not self.notes.requested:
            return
        known = list(self.notes.requested)
        reference = known[-1 - int(len(known) * self.chance.random() ** 2)]
        by = self.chance.choice(["client", "therapist", "therapist", "therapist"])
        if self.chance.random() < 0.01:
            is_done = self._command("booking", "cancel", reference, "--by", by)
        else:
            path = f"/api/v1/bookings/{reference}/cancel"
            is_done = self._send("cancel", "POST", path, {"by": by})[0] == 200
        if is_done:
            client = "withdrawn or cancelled_by_client"
            event = client if by == "client" else "cancelled_by_therapist"
            self.notes.done.append((reference, event))

    def choose(self) -> None:
        """Choose another therapist, from what the page offers."""
        path = self._own_link(CHOOSE_EMAILS, "choose")
        _, page = self._send("open", "GET", path) if path else (0, "")
        choices = re.findall(r'name="choice" value="([^"]+)"', str(page))
        if path and choices:
            choice = html.unescape(self.chance.choice(choices))
            form = f"choice={choice.replace('+', '%2B').replace(':', '%3A')}"
            for _ in range(self.chance.choice([1, 2])):
                if self._send("choose", "POST", path, form=form)[0] == 200:
                    self.notes.chosen.append((self._reference, choice))

    def look(self) -> None:
        """Read a booking through the API."""
        if self.notes.requested:
            reference = self.chance.choice(list(self.notes.requested))
            status, booking = self._send("look", "GET", f"/api/v1/bookings/{reference}")
            if status == 200:
                events = tuple(line["event"] for line in booking["timeline"])
                self.notes.seen.append((reference, events))

    def request_links(self) -> None:
        """Have the links sent again."""
        self._send("my-links", "POST", "/my-links", form=f"email={self.address}")

    def _own_link(self, kinds: tuple[str, ...], purpose: str) -> str:
        """A link from one of this person's emails, mostly a recent one; "" if there is none."""
        own = self.mail_reader.emails(*kinds, to=self.address)
        if not own:
            return ""
        email = own[-1 - int(len(own) * self.chance.random() ** 2)]
        self._reference = email.reference
        if email.kind == "your_links" or (
            email.kind == "session_reminder" and purpose not in email.mail.raw.decode()
        ):
            return ""
        return self.site.link(email.mail, purpose)

    def _command(self, *arguments: str) -> bool:
        try:
            self.site.mindsum(*arguments)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            # A refusal is one plain line; anything else is a fault.
            if "Traceback" in str(error) or "mindsum:" not in str(error):
                self.notes.errors.append(str(error))
            return False
        return True

    def _send(
        self, action: str, method: str, path: str, body: Any = None, *, form: str | None = None,
        key: str = "",
    ) -> tuple[int, Any]:  # fmt: skip
        """Send one request, and again while the site is away; the status and the reply."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, reply = self.site.call(method, path, body, form, key)
            except (OSError, http.client.HTTPException):
                self.notes.replies[f"{action}: hung up"] += 1
                status, reply = 0, ""
            if status not in (0, 503):
                break
            assert time.monotonic() < deadline, f"{method} {path[:40]}: no reply in {PATIENCE_S} s"
            time.sleep(0.05)
        self.notes.replies[f"{action}: {status}"] += 1
        if status >= 500:
            self.notes.errors.append(f"{method} {path[:40]}: {status} {str(reply)[:300]}")
        return status, reply

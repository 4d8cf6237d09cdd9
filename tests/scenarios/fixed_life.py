"""One fixed run of the product, through its public interfaces alone: API, links, scheduler, mail.

Time, keys and references are fixed, so two releases that keep their promises write the same
emails (but for wording), give the same answers and store the same rows.
"""

import random
import re
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECRET_KEY = "the signing key of the fixed life"
NOTES_KEY = "Zml4ZWQtbGlmZS1maXhlZC1saWZlLWZpeGVkLWxpZmU="
API_KEY = "the-api-key-of-the-fixed-life"
PUBLIC_URL = "http://mindsum.test"
LINK = re.compile(r"http://mindsum\.test(/[^\s<>\"]+)")

KEPT_HEADERS = (
    "From", "To", "Message-ID", "In-Reply-To", "References", "Date", "Auto-Submitted",
    "X-Mindsum-Email", "X-Mindsum-Booking", "Content-Type",
)  # fmt: skip


@dataclass
class FixedLife:
    """The interfaces of one application, and what came out of them so far.

    `move_to` sets the clock, `sweep` runs each job of the scheduler once, `received` is the mail
    server's list of messages taken, oldest first.
    """

    app: Flask
    move_to: Callable[[datetime], None]
    sweep: Callable[[], None]
    received: Callable[[], list[EmailMessage]]
    now: datetime = MONDAY
    answers: list[dict[str, Any]] = field(default_factory=list)

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.move_to(self.now)
        self.sweep()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.app.test_client().open(
            f"/api/v1{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        self.answers.append(
            {"call": f"{method} {path}", "status": answer.status_code, "json": answer.json}
        )
        return answer.json

    def request(
        self, therapist: str, client: str, starts_at: datetime, kind: str, note: str
    ) -> str:
        reference = self.ask(therapist, client, starts_at, kind, note)
        self.sweep()
        return reference

    def ask(self, therapist: str, client: str, starts_at: datetime, kind: str, note: str) -> str:
        """A request whose emails are still queued; the booking's reference."""
        name = {"dee": "Dee Stone", "eli": "Eli Marsh"}[client]
        booking = self.api(
            "POST",
            "/bookings",
            {
                "therapist": therapist,
                "client": {
                    "name": name,
                    "email": f"{client}@clients.example",
                    "timezone": "Europe/London",
                },
                "starts_at": starts_at.isoformat().replace("+00:00", "Z"),
                "kind": kind,
                "note": note,
            },
        )
        return str(booking["reference"])

    def link(self, kind: str, reference: str, purpose: str) -> str:
        """The path of a link in the newest email of that kind about that booking."""
        for message in reversed(self.received()):
            if message["X-Mindsum-Email"] == kind and message["X-Mindsum-Booking"] == reference:
                for path in LINK.findall(text_of(message)):
                    if path.startswith(f"/link/{purpose}/"):
                        return str(path)
        raise AssertionError(f"no {purpose} link in an email {kind} about {reference}")

    def press(self, path: str, **fields: str) -> int:
        status = self.app.test_client().post(path, data=fields).status_code
        self.sweep()
        return status


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def calendar_of(message: EmailMessage) -> str | None:
    """The calendar part, as sent; None where there is none."""
    for part in message.walk():
        if part.get_content_type() == "text/calendar":
            return str(part.get_content()).replace("\r\n", "\n")
    return None


def wire(message: EmailMessage) -> dict[str, Any]:
    """What of an email must survive: headers, structure, links and calendar, not its wording."""
    headers = {name: str(message[name]) for name in KEPT_HEADERS if message[name] is not None}
    headers["Content-Type"] = message.get_content_type()
    return {
        "headers": headers,
        "parts": [part.get_content_type() for part in message.walk()],
        "links": sorted(set(LINK.findall(text_of(message)))),
        "calendar": calendar_of(message),
    }


def fix_chance(patches: pytest.MonkeyPatch) -> None:
    """Draw references and tokens from one seed."""
    drawn = random.Random(12)
    letters = string.ascii_letters + string.digits
    patches.setattr(secrets, "choice", lambda items: drawn.choice(items))
    patches.setattr(secrets, "token_hex", lambda size=16: f"{drawn.getrandbits(size * 8):x}")
    patches.setattr(
        secrets, "token_urlsafe", lambda size=32: "".join(drawn.choices(letters, k=size))
    )
    patches.setattr(secrets, "randbelow", drawn.randrange)
    patches.setattr(random, "uniform", lambda low, _high: low)


def live(life: FixedLife) -> dict[str, str]:
    """Every way a booking can end, and some that are still under way; references by their part."""
    day = timedelta(days=1)
    ten = MONDAY + timedelta(hours=1)
    life.move_to(MONDAY)
    made = {}

    made["completed"] = life.request("asha", "dee", ten + day, "paid", "Sleeping badly.")
    life.press(life.link("booking_requested", made["completed"], "accept"))
    made["declined"] = life.request("bran", "dee", ten + 2 * day + timedelta(hours=5), "paid", "")
    life.wait(minutes=20)
    life.press(life.link("booking_requested", made["declined"], "decline"), reason="I am away.")
    made["free"] = life.request("asha", "eli", ten + 2 * day, "free_consultation", "First time.")
    life.wait(hours=2, minutes=5)
    life.wait(hours=1)
    life.press(life.link("answer_late", made["free"], "accept"))
    made["cancelled_late"] = life.request("asha", "eli", ten + day + timedelta(hours=2), "paid", "")
    life.press(life.link("booking_requested", made["cancelled_late"], "accept"))
    life.wait(hours=1)
    life.api("POST", f"/bookings/{made['cancelled_late']}/cancel", {"by": "client"})
    life.sweep()
    made["withdrawn"] = life.request("chi", "dee", ten + 4 * day + timedelta(hours=14), "paid", "")
    life.api("POST", f"/bookings/{made['withdrawn']}/cancel", {"by": "client"})
    life.sweep()
    made["expired"] = life.request("asha", "dee", ten + 3 * day, "paid", "Please.")
    life.wait(hours=4)
    life.wait(hours=20)
    made["therapist_cancelled"] = life.request("asha", "eli", ten + 8 * day, "paid", "")
    life.press(life.link("booking_requested", made["therapist_cancelled"], "accept"))
    life.api("POST", f"/bookings/{made['therapist_cancelled']}/cancel", {"by": "therapist"})
    life.sweep()
    made["replaced"] = life.request("asha", "dee", ten + 9 * day, "paid", "Another note.")
    life.wait(hours=3, minutes=1)
    choose = life.link("answer_late_client", made["replaced"], "choose")
    page = life.app.test_client().get(choose).text
    offered = re.search(r'value="(bran@[^"]+)"', page) or re.search(r'value="(chi@[^"]+)"', page)
    assert offered is not None
    life.press(choose, choice=offered[1])
    made["replacement"] = next(
        str(message["X-Mindsum-Booking"])
        for message in reversed(life.received())
        if message["X-Mindsum-Email"] == "booking_received"
    )
    made["upcoming"] = life.request("asha", "dee", ten + 10 * day, "paid", "See you.")
    life.press(life.link("booking_requested", made["upcoming"], "accept"))
    made["late"] = life.request("asha", "eli", ten + 11 * day, "paid", "Not answered yet.")
    life.wait(hours=3, minutes=1)
    made["open"] = life.request("bran", "eli", ten + 12 * day + timedelta(hours=5), "paid", "Open.")
    for part in sorted(made):
        life.api("GET", f"/bookings/{made[part]}")
    for slug in ("asha", "bran", "chi"):
        life.api("GET", f"/therapists/{slug}")
    life.api("GET", "/therapists")
    life.api("GET", "/therapists/asha/slots?from=2026-11-05&days=2&kind=paid")
    return made


def missing(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """What an answer of the last release held that today's does not; what is new is no fault."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            if name not in now:
                yield f"{where}.{name} is gone"
            else:
                yield from missing(value, now[name], f"{where}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from missing(one, other, f"{where}[{number}]")
    elif before != now and not is_wording(where):
        yield f"{where}: {before!r} became {now!r}"


def is_wording(where: str) -> bool:
    """Whether a value is a sentence for people, which may be said better."""
    return where.rpartition(".")[2] in {"what_moved_it", "what_would_mend_it", "name"} and (
        ".ranking" in where
    )

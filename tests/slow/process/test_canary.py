"""A word in every field, through a whole life: after erasing it is in no file that is ours."""

import json
import mailbox
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor, Kind
from app.services.bookings import confirm, messages
from app.services.bookings.request import BookingRequest
from app.services.therapists import profile
from app.store import queries
from app.store.db import database
from app.store.models import Booking, DeliveryAttempt, OutboxEmail, OutboxStatus
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.stored_bytes import whole_database
from tests.harness.waiting import until
from tests.scenarios.cast import therapist

LIVES = runs(1, 10)
CLIENT = ("Zinnia Quetzalcoatl", "zq.axolotl@zinnia-narwhal.example", "Pacific/Marquesas")
THERAPIST = "okapimbo@wombat-practice.example"
WORDS = (
    "zinnia", "quetzalcoatl", "axolotl", "narwhal", "marquesas", "note-ibex", "message-ibex",
    "answer-ibex", "reason-ibex", "private-ibex", "xochitl", "okapimbo", "wombat", "lemur-room",
    "headline-lynx", "about-lynx", "field-lynx", "7946123", "kiritimati",
)  # fmt: skip
NAMES = "Zinnia QUETZALCOATL <zq.axolotl@zinnia-narwhal.example> and Xochitl Okapimbo at lemur-room"


class Echo:
    """Refuses each recipient at first, and some for longer, in words that name everybody."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = defaultdict(int)

    def __call__(self, address: str) -> str | None:
        self._asked[address] += 1
        number = self._asked[address]
        if number == 1:
            return f"450 4.2.1 {NAMES}: greylisted"
        if number == 3:
            return f"550 5.7.1 {NAMES}: spam by policy of {address.rpartition('@')[2]}"
        return f"552 5.3.4 {NAMES}: too large" if number == 9 else None


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Site]:
    with MailServer(on_recipient=Echo()) as mail:
        site = Site(database_url, tmp_path, mail)
        if not database.is_sqlite():
            site.environment["ERASURE_LOG"] = str(tmp_path / "erasures.log")
        yield site


def open_account() -> None:
    therapist("T1 Okapimbo", "Pacific/Kiritimati", phone="+4479461230")
    fields = {
        "name": "Xochitl Okapimbo",
        "given_name": "Xochitl",
        "headline": "headline-lynx",
        "about": "about-lynx",
        "specialisms": "field-lynx",
        "meeting_url": "https://meet.example/lemur-room",
    }
    profile.change("t1", fields, clock.now(), address=THERAPIST)


def live(site: Site) -> list[str]:
    """References of a completed session, a declined enquiry and one that is still open."""
    _, starts = site.call("GET", "/api/v1/therapists/t1/slots?days=20")
    made = [ask(site, starts[at]) for at in (0, 4, -1)]
    first, declined, _ = made
    # Refused at first; once the enquiry is answered it would be skipped, not tried again.
    manage = site.link(site.email_about("booking_received", first), "manage")
    site.mindsum("booking", "accept", first)
    link = site.link(site.email_about("booking_requested", declined), "decline")
    assert site.call("POST", link, form="reason=reason-ibex")[0] == 200
    booking = queries.booking_by_reference(first)
    messages.send(booking, "message-ibex", author=Actor.CLIENT, now=clock.now())
    messages.send(booking, "answer-ibex", author=Actor.THERAPIST, now=clock.now())
    messages.keep_private_note(booking, "private-ibex", now=clock.now())
    assert "answer-ibex" in site.call("POST", manage, form="")[1]
    assert site.call("POST", "/my-links", form=f"email={CLIENT[1]}")[0] == 200
    start = booking.starts_at + timedelta(days=3)
    unconfirmed = BookingRequest("t1", *CLIENT, start, Kind.PAID, "note-ibex of the form")
    confirm.take_request(unconfirmed, now=clock.now())
    return made


def ask(site: Site, start: str) -> str:
    name, email, zone = CLIENT
    wanted = {
        "therapist": "t1",
        "client": {"name": name, "email": email, "timezone": zone},
        "starts_at": start,
        "kind": "paid",
        "note": "note-ibex",
    }
    status, answer = site.call("POST", "/api/v1/bookings", wanted, key=f"key-of-{start}")
    assert status == 201, answer
    return str(answer["reference"])


def await_echoes(site: Site) -> None:
    def tried() -> int:
        return DeliveryAttempt.select().where(DeliveryAttempt.said.is_null(False)).count()

    until("refusals of both addresses", tried, lambda count: count >= 4)
    waiting = OutboxEmail.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING])
    until("the emails to leave", lambda: OutboxEmail.select().where(waiting).count() <= 1)


def keep_in_demo_mailbox(site: Site) -> int:
    """As the demo's own mail server would have stored what was sent."""
    folder = site.folder / "mail"
    maildir = mailbox.Maildir(folder, create=True)
    for sent in site.mail.messages:
        facts = {"at": clock.now().isoformat(), "from": sent.envelope_from, "to": sent.rcpt_tos}
        maildir.add(b"X-Envelope: " + json.dumps(facts).encode() + b"\r\n" + sent.raw)
    return len(site.mail.messages)


def found_in(folder: Path) -> list[tuple[str, str]]:
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    texts = [(each.name, each.read_bytes().lower()) for each in files]
    return [(name, word) for name, text in texts for word in WORDS if word.encode() in text]


def found_in_database() -> list[str]:
    text = whole_database().lower()
    return [word for word in WORDS if word in text]


@pytest.mark.parametrize("number", range(LIVES))
def test_what_was_erased_is_in_no_file_and_no_backup_of_before_brings_it_back(
    site: Site, number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    open_account()
    elsewhere = tmp_path_factory.mktemp("backups") / "before.db"
    with site.running():
        first, _, still_open = live(site)
        await_echoes(site)
        if database.is_sqlite():
            site.mindsum("db", "backup", str(elsewhere))
        site.mindsum("booking", "cancel", first, "--by", "client")
        site.mindsum("booking", "cancel", still_open, "--by", "client")
        site.pass_time(timedelta(hours=1))
        assert keep_in_demo_mailbox(site) > 5
        assert found_in_database()
        site.mindsum("client", "erase", CLIENT[1])
        site.mindsum("therapist", "erase", "t1")
        assert found_in_database() == []
    site.mindsum("db", "scrub")
    database.release()
    assert found_in(site.folder) == []
    assert site.mindsum("replay").startswith("Everything")
    if database.is_sqlite():
        answer = json.loads(site.mindsum("db", "restore", str(elsewhere), "--replace", "--json"))
        assert answer["erased_again"] == 2
        Path(answer["set_aside"]).unlink()
        assert found_in(site.folder) == []
        assert Booking.select().count() == 3

"""The mail door's server: what it takes, refuses and puts off, over SMTP and LMTP."""

import smtplib
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parseaddr

import pytest
from flask import Flask

from app import clock, config, inbound
from app.config import Settings
from app.inbound import door_server
from app.rules.lifecycle import Kind, Via
from app.services.bookings import request
from app.services.inbound import addresses
from app.services.inbound.handle import process_inbound
from app.smtp_server import LARGEST_BYTES
from app.store.models import Booking, InboundMessage, Role
from emails.calendar import event_uid
from tests.harness.processes import ROOT
from tests.harness.smtp_server import PATIENCE_S
from tests.scenarios.cast import add_cast
from tests.scenarios.invitation_answers import Answer, google
from tests.scenarios.mailbox import written
from tests.scenarios.story import DEE, total

DOMAIN = "in.example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_domain": DOMAIN, "inbound_port": 0})


@pytest.fixture
def booking(app: Flask) -> Booking:
    add_cast()
    name, email, zone = DEE
    starts_at = (clock.now() + timedelta(days=3)).replace(
        hour=11, minute=0, second=0, microsecond=0
    )
    wanted = request.BookingRequest("asha", name, email, zone, starts_at, Kind.PAID, "")
    return request.request_booking(wanted, via=Via.API, now=clock.now())


def address(booking: Booking, role: Role = Role.THERAPIST) -> str:
    return parseaddr(addresses.organizer_of(booking, role).sender)[1]


@pytest.fixture(params=["smtp", "lmtp"])
def door(request: pytest.FixtureRequest, app: Flask) -> Iterator[smtplib.SMTP]:
    """A client that is connected to the door."""
    is_lmtp = request.param == "lmtp"
    changed = config.current().model_copy(update={"inbound_lmtp": is_lmtp})
    server = door_server(app, changed)
    server.start()
    connect = smtplib.LMTP if is_lmtp else smtplib.SMTP
    client = connect("127.0.0.1", server.port, timeout=PATIENCE_S)
    client.ehlo("mx.example")
    try:
        yield client
    finally:
        client.close()
        server.stop()


def replies_to(client: smtplib.SMTP, to: list[str], raw: bytes, sender: str = "") -> list[int]:
    """The code of each RCPT, and then of each reply to the message."""
    client.docmd(f"MAIL FROM:<{sender}>")
    codes = [client.docmd(f"RCPT TO:<{each}>")[0] for each in to]
    taken = codes.count(250)
    if not taken:
        return codes
    assert client.docmd("DATA")[0] == 354
    body = raw.replace(b"\r\n.", b"\r\n..")
    client.send(body + b"\r\n.\r\n")
    replies = taken if isinstance(client, smtplib.LMTP) else 1
    return [*codes, *(client.getreply()[0] for _ in range(replies))]


def test_a_message_is_stored_before_it_is_answered_with_250_and_once(
    door: smtplib.SMTP, booking: Booking
) -> None:
    to = address(booking)
    raw = google(Answer(to=to, uid=event_uid(booking.reference)))
    for _ in range(2):
        assert replies_to(door, [to], raw, "asha@therapists.example") == [250, 250]
        assert InboundMessage.select().count() == 1
    stored = InboundMessage.get()
    assert (stored.is_from_server, stored.content.encode("latin-1")) == (False, raw + b"\r\n")


def test_unknown_addresses_are_refused_before_the_message(
    door: smtplib.SMTP, booking: Booking
) -> None:
    good = address(booking)
    refused = [good.replace("t1", "t2"), f"postmaster@{DOMAIN}", "asha@therapists.example"]
    assert replies_to(door, refused, b"x") == [550, 550, 550]
    assert replies_to(door, [refused[0], good], written(good, "x")) == [550, 250, 250]
    assert [each.is_from_server for each in InboundMessage.select()] == [True]


def test_each_recipient_of_a_message_has_a_row_and_in_lmtp_a_reply(
    door: smtplib.SMTP, booking: Booking
) -> None:
    both = [address(booking), address(booking, Role.CLIENT)]
    codes = replies_to(door, both, written(both[0], "x"))
    assert codes == [250] * (4 if isinstance(door, smtplib.LMTP) else 3)
    assert InboundMessage.select().count() == 2


def test_a_message_that_is_too_large_is_refused_and_the_next_one_taken(
    door: smtplib.SMTP, booking: Booking
) -> None:
    both = [address(booking), address(booking, Role.CLIENT)]
    line = b"x" * 900 + b"\r\n"
    large = line * (LARGEST_BYTES // len(line) + 2)
    codes = replies_to(door, both, large)
    assert codes[2:] == [552] * (2 if isinstance(door, smtplib.LMTP) else 1)
    assert replies_to(door, both[:1], written(both[0], "x")) == [250, 250]
    assert InboundMessage.select().count() == 1


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"Subject: \x00\xff\xfe\r\n\r\n\x00" * 50, 250),
        (b"no header at all", 250),
        (b"", 250),
        (b"Subject: a\nX: bare\n\nline\nends\r", 250),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 9000, 250),
        (b"x" * (inbound.LONGEST_LINE + 10), 500),
    ],
)
def test_any_bytes_have_a_reply_and_the_next_message_is_taken(
    door: smtplib.SMTP, booking: Booking, raw: bytes, code: int
) -> None:
    to = address(booking)
    assert replies_to(door, [to], raw) == [250, code]
    assert replies_to(door, [to], written(to, "x")) == [250, 250]
    assert total(process_inbound(clock.now())).failed == 0


def test_a_message_that_breaks_off_is_not_stored(door: smtplib.SMTP, booking: Booking) -> None:
    to = address(booking)
    door.docmd("MAIL FROM:<asha@therapists.example>")
    door.docmd(f"RCPT TO:<{to}>")
    assert door.docmd("DATA")[0] == 354
    door.send(written(to, "Yes"))
    assert door.sock is not None
    host, port = door.sock.getpeername()
    door.close()
    door.connect(host, port)
    door.ehlo("mx.example")
    assert replies_to(door, [to], written(to, "No", message_id="<no@x>")) == [250, 250]
    assert InboundMessage.select().count() == 1


def test_a_database_that_is_down_puts_mail_off_and_loses_nothing(
    door: smtplib.SMTP, booking: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = address(booking)

    def down(*_: object, **__: object) -> None:
        raise inbound.errors.DATABASE_ERRORS[0]("down")

    with monkeypatch.context() as broken:
        broken.setattr(inbound, "receive", down)
        assert replies_to(door, [to], written(to, "x")) == [250, 451]
    with monkeypatch.context() as broken:
        broken.setattr(inbound.addresses, "owner_of", down)
        assert replies_to(door, [to], written(to, "x")) == [451]


def test_only_the_door_and_what_asks_for_it_load_what_it_is_made_of() -> None:
    heavy = ("aiosmtpd", "flufl", "dns", "app.inbound")
    code = (
        "import sys, app.cli, app.web, app.scheduler.process, app.services.inbound.handle;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")

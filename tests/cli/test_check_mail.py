"""`mindsum check mail`: an email to ourselves, what our server wrote on it, a stub of the DNS."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.rrset
import pytest
from flask import Flask

from app import config, flask_config
from app.config import Settings
from app.inbound import door_server
from app.mailer import Mailer
from app.services.inbound import checks
from app.store.models import InboundMessage
from tests.harness.commands import Mindsum

DOMAIN, SENDING = "in.example", "mindsum.invalid"
GOOD = {
    (DOMAIN, "MX"): ["10 mx.in.example."],
    (DOMAIN, "TXT"): ['"v=spf1 mx -all"'],
    (SENDING, "TXT"): ['"v=spf1 include:relay.example ~all"', '"another text"'],
    (f"_dmarc.{SENDING}", "TXT"): ['"v=DMARC1; p=" "quarantine"'],
}


class NameServer:
    """Answers from a table, over UDP on loopback."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self._records = records
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
            except OSError:
                return
            asked = dns.message.from_wire(query)
            answer = dns.message.make_response(asked)
            name, kind = asked.question[0].name, dns.rdatatype.to_text(asked.question[0].rdtype)
            texts = self._records.get((name.to_text(omit_final_dot=True), kind))
            if texts:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *texts))
            self._socket.sendto(answer.to_wire(), client)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_domain": DOMAIN, "inbound_port": 0})


@pytest.fixture
def ask(mindsum: Mindsum) -> Iterator[Any]:
    """`ask(records)` asks a name server that has them; (about, is_ok) of each line."""
    servers: list[NameServer] = []

    def run(records: dict[tuple[str, str], list[str]]) -> list[tuple[str, bool, str]]:
        servers.append(NameServer(records))
        options = ("--no-send", "--dns", servers[-1].address, "--json")
        answer = mindsum("check", "mail", *options)
        lines = json.loads(answer.out)
        assert answer.status == (0 if all(each["is_ok"] for each in lines) else 1)
        return [(each["about"], each["is_ok"], each["says"]) for each in lines]

    yield run
    for server in servers:
        server.close()


def test_what_is_published_is_found(ask: Any) -> None:
    assert [(about, ok) for about, ok, _ in ask(GOOD)] == [
        ("mx", True),
        ("spf", True),
        ("spf", True),
        ("dmarc", True),
    ]


FAULTS: list[tuple[dict[tuple[str, str], list[str]], str]] = [
    ({(DOMAIN, "MX"): []}, f"{DOMAIN}. MX 10"),
    ({(DOMAIN, "TXT"): []}, f'{DOMAIN}. TXT "v=spf1'),
    ({(DOMAIN, "TXT"): ['"v=spf1 a -all"', '"v=spf1 mx -all"']}, "keep one"),
    ({(SENDING, "TXT"): ['"v=spf1 +all"']}, "end its record in -all"),
    ({(f"_dmarc.{SENDING}", "TXT"): []}, f'_dmarc.{SENDING}. TXT "v=DMARC1'),
]


@pytest.mark.parametrize(("changes", "words"), FAULTS)
def test_each_fault_comes_with_the_record_to_publish(
    ask: Any, changes: dict[tuple[str, str], list[str]], words: str
) -> None:
    wrong = [says for _, ok, says in ask({**GOOD, **changes}) if not ok]
    assert len(wrong) == 1
    assert words in wrong[0]


def test_a_name_server_that_is_silent_is_a_finding(mindsum: Mindsum) -> None:
    for typed in ("x:y", "127.0.0.1:0", "127.0.0.1:65536"):
        assert "ADDRESS:PORT" in mindsum("check", "mail", "--no-send", "--dns", typed).mistake


def test_an_email_to_ourselves_is_sent_through_the_door_and_read(
    app: Flask, mindsum: Mindsum
) -> None:
    door = door_server(app, config.current())
    door.start()
    try:
        # The door takes the place of the relay and of the mail server in front of it.
        config.use(config.current().model_copy(update={"mail_port": door.port}))
        app.config.update(flask_config(config.current()))
        app.extensions["mailer"] = Mailer(app)
        answer = mindsum("check", "mail", "--no-dns", "--json")
    finally:
        door.stop()
    found = {each["about"]: each for each in json.loads(answer.out)}
    assert {about: each["is_ok"] for about, each in found.items()} == {
        "sending": True,
        "arrival": True,
        "tls": False,
        "auth": False,
    }
    assert "INBOUND_AUTHSERV" in found["auth"]["says"]
    # Nothing of it stays.
    assert InboundMessage.select().count() == 0


def test_an_email_that_does_not_come_back_says_where_to_look(mindsum: Mindsum) -> None:
    answer = mindsum("check", "mail", "--no-dns", "--wait", "0")
    assert answer.status == 1
    assert "did not reach the mail door" in answer.out


@pytest.mark.parametrize("typed", ["x", "-1", "nan", "inf", "1e3", "3601", "\u0663", " 5"])
def test_a_wait_that_is_no_time_is_named_with_what_is_right(mindsum: Mindsum, typed: str) -> None:
    mistake = mindsum("check", "mail", "--no-dns", f"--wait={typed}").mistake
    assert mistake == f"--wait should be a number of seconds from 0 to 3600, not {typed!r}"


def test_what_our_server_wrote_is_read_back(app: Flask, settings: Settings) -> None:
    config.use(settings.model_copy(update={"inbound_authserv": "mx.in.example"}))
    raw = (
        b"Received: from relay (relay [192.0.2.1]) by mx with ESMTPS (TLS1.3)\r\n"
        b"Authentication-Results: mx.in.example; spf=pass smtp.mailfrom=in.example;\r\n"
        b" dkim=fail header.d=mindsum.invalid\r\n\r\n"
    )
    found = [(each.about, each.is_ok) for each in checks._read_back(raw)]
    assert found == [("tls", True), ("spf", True), ("dkim", False), ("dmarc", False)]

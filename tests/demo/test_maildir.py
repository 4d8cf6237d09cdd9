"""The demo's mail server: every message answered with 250 can be read back at once."""

import smtplib
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from app import clock
from app.demo.maildir import find, serve_maildir, stored_messages
from app.smtp_server import LARGEST_BYTES
from tests.harness.smtp_server import LOOPBACK, PATIENCE_S

ROOT = Path(__file__).parents[2]
NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
RAW = b"From: a@mindsum.test\r\nTo: dee@example.org\r\nSubject: Hello\r\n\r\n.Hi =)\r\n\r\nBye\r\n"


def send(port: int, raw: bytes = RAW, to: tuple[str, ...] = ("dee@example.org",)) -> None:
    with smtplib.SMTP(LOOPBACK, port, local_hostname="test", timeout=PATIENCE_S) as client:
        client.sendmail("a@mindsum.test", to, raw)


def test_a_message_is_read_back_as_it_was_sent(tmp_path: Path) -> None:
    with (
        time_machine.travel(NOON, tick=False),
        serve_maildir(LOOPBACK, 0, tmp_path / "m") as server,
    ):
        send(server.port, to=("dee@example.org", '"eli, e"@example.org'))
        (stored,) = stored_messages(tmp_path / "m")
    assert stored.raw == RAW
    assert stored.received_at == NOON
    assert stored.envelope_from == "a@mindsum.test"
    assert stored.envelope_to == ("dee@example.org", '"eli, e"@example.org')
    assert stored.message["Subject"] == "Hello"
    assert stored.message.get_content() == ".Hi =)\r\n\r\nBye\r\n"
    assert find(tmp_path / "m", stored.id) == stored


def test_messages_are_listed_newest_first_by_the_demo_s_clock(tmp_path: Path) -> None:
    ahead = tmp_path / "offset"
    with serve_maildir(LOOPBACK, 0, tmp_path / "m") as server:
        send(server.port, b"Subject: now\r\n\r\n")
        ahead.write_text("10800")
        clock.follow(ahead)
        try:
            send(server.port, b"Subject: in three hours\r\n\r\n")
        finally:
            clock.follow(None)
        newest, oldest = stored_messages(tmp_path / "m")
    assert (newest.message["Subject"], oldest.message["Subject"]) == ("in three hours", "now")
    gap = newest.received_at - oldest.received_at
    assert timedelta(hours=3) <= gap < timedelta(hours=3, minutes=1)


def test_addresses_and_headers_in_utf8_are_kept(tmp_path: Path) -> None:
    raw = "Subject: Grüße\r\nTo: дели@example.org\r\nX-Envelope: {}\r\n\r\nПривет\r\n".encode()
    with serve_maildir(LOOPBACK, 0, tmp_path) as server:
        with smtplib.SMTP(
            LOOPBACK, server.port, local_hostname="test", timeout=PATIENCE_S
        ) as client:
            client.sendmail("a@mindsum.test", ["дели@example.org"], raw, ["SMTPUTF8"])
        (stored,) = stored_messages(tmp_path)
    assert stored.envelope_to == ("дели@example.org",)
    assert stored.raw == raw
    assert stored.message["Subject"] == "Grüße"
    assert stored.message["To"].addresses[0].addr_spec == "дели@example.org"
    assert stored.message.get_payload(decode=True) == "Привет\r\n".encode()


@pytest.mark.process
def test_another_process_reads_a_message_answered_with_250(tmp_path: Path) -> None:
    read = (
        "import sys; from pathlib import Path; from app.demo.maildir import stored_messages;"
        "print(stored_messages(Path(sys.argv[1]))[0].message['Subject'])"
    )
    with serve_maildir(LOOPBACK, 0, tmp_path) as server:
        send(server.port)
        command = [sys.executable, "-c", read, str(tmp_path)]
        assert subprocess.check_output(command, cwd=ROOT, text=True) == "Hello\n"


def test_reading_while_messages_arrive_sees_only_whole_ones(tmp_path: Path) -> None:
    def send_all() -> None:
        for _ in range(8):
            send(server.port)

    with serve_maildir(LOOPBACK, 0, tmp_path) as server:
        sender = threading.Thread(target=send_all)
        sender.start()
        while sender.is_alive():
            assert all(stored.raw == RAW for stored in stored_messages(tmp_path))
        sender.join()
        assert len(stored_messages(tmp_path)) == 8


@pytest.mark.parametrize("key", ["", "nothing", "../new", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_id_finds_nothing(tmp_path: Path, key: str) -> None:
    assert find(tmp_path / "m", key) is None
    with serve_maildir(LOOPBACK, 0, tmp_path / "m") as server:
        send(server.port)
    assert find(tmp_path / "m", key) is None


def test_a_mailbox_whose_server_never_ran_is_empty(tmp_path: Path) -> None:
    assert stored_messages(tmp_path) == stored_messages(tmp_path / "m") == []
    assert find(tmp_path, "some") is find(tmp_path / "m", "some") is None
    assert not (tmp_path / "m").exists()


def test_messages_outlive_the_server(tmp_path: Path) -> None:
    for count in (1, 2):
        with serve_maildir(LOOPBACK, 0, tmp_path / "deep" / "m") as server:
            send(server.port)
        assert len(stored_messages(tmp_path / "deep" / "m")) == count


def test_a_message_that_cannot_be_stored_gets_452(tmp_path: Path) -> None:
    with serve_maildir(LOOPBACK, 0, tmp_path / "m") as server:
        (tmp_path / "m" / "new").rmdir()
        with pytest.raises(smtplib.SMTPDataError) as raised:
            send(server.port)
        assert raised.value.smtp_code == 452
        (tmp_path / "m" / "new").mkdir()
        send(server.port)
        assert len(stored_messages(tmp_path / "m")) == 1


def test_a_message_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with serve_maildir(LOOPBACK, 0, tmp_path) as server:
        with pytest.raises(smtplib.SMTPSenderRefused) as raised:
            send(server.port, RAW + b"x" * LARGEST_BYTES)
        assert raised.value.smtp_code == 552
    assert stored_messages(tmp_path) == []


def test_stop_closes_open_connections(tmp_path: Path) -> None:
    server = serve_maildir(LOOPBACK, 0, tmp_path)
    with socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE_S) as client:
        assert client.recv(100).startswith(b"220 localhost ")
        server.stop()
        assert not client.recv(100)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE_S)


def test_a_taken_port_is_an_error_at_once(tmp_path: Path) -> None:
    with serve_maildir(LOOPBACK, 0, tmp_path) as server, pytest.raises(OSError, match="in use"):
        serve_maildir(LOOPBACK, server.port, tmp_path)

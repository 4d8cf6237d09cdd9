"""What the command line prints, word for word, in one file.

After a change of words: `UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py`; then read the diff.
"""

import os
import random
import re
import secrets
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from tests.conftest import MONDAY
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import Story, sender_to, total

GOLDEN = Path(__file__).parent / "golden.txt"
COMMANDS = """
--help
booking --help
therapist add --help
therapist add --slug gus --name Gus --email gus@therapists.example --timezone UTC --rate 1234567.89
therapist add --slug Gus --name Gus --email gus@therapists.example --timezone UTC --rate 60
therapist list
therapist show bran
therapist hide bran
therapist reactivate bran
therapist address bran bran@elsewhere.example
booking list
booking list --status declined
booking show {first}
booking accept {first}
booking accept {first}
booking decline {first}
booking cancel {first} --by client
booking decline {second} --reason Travelling
booking show MB-NOPE22
booking show nope
ledger show {second}
outbox list
outbox show 3
outbox retry
outbox retry 1
outbox hold
outbox skip
outbox skip 4
outbox release
client export eli@clients.example
client erase dee@clients.example
client erase eli@clients.example
therapist erase asha
db scrub
replay
db upgrade
check
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_commands_print_what_the_golden_file_says(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = random.Random(7)
    monkeypatch.setattr(secrets, "choice", lambda items: drawn.choice(items))
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    first = story.ask("bran", starts_at=MONDAY + timedelta(days=2, hours=6))
    second = story.ask("asha", client=("Eli Park", "eli@clients.example", "Europe/London"))
    with FaultyServer({"rcpt asha@therapists.example": "550 5.1.1 No such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    story.wait(minutes=5)
    transcript = "\n".join(
        typed(app, command.format(first=first.reference, second=second.reference), capsys)
        for command in COMMANDS.strip().splitlines()
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(transcript, encoding="utf-8")
    assert transcript == GOLDEN.read_text(encoding="utf-8")


def typed(app: Flask, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The command, everything that it printed, and its exit status if that is not 0."""
    capsys.readouterr()
    status: Any = run(shlex.split(command), create=lambda: app)
    printed = capsys.readouterr()
    lines = [line.rstrip() for line in (printed.out + printed.err).splitlines()]
    ending = [f"[exit status {status}]"] if status else []
    text = "\n".join([f"$ mindsum {command}", *lines, *ending, ""])
    # The mail server of the tests takes a free port.
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:25", text)

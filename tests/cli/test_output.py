"""Output that a terminal, disk or pipe cannot take: escaped, or one line and an exit status."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from app.cli import run
from app.services.therapists import profile
from app.store.models import OutboxEmail
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.story import DEE, Story

ROOT = Path(__file__).parents[2]
COMMANDS = """
--help
booking --help
booking list
booking show {booking}
booking accept {booking}
booking cancel {booking} --by client
therapist list
therapist show asha
therapist pause asha
therapist hide asha
therapist address asha other@therapists.example
ledger show {booking}
outbox list
outbox show {email}
outbox retry
outbox hold
outbox skip --due-before 2026-01-01T00:00:00Z
outbox release
client export {client}
replay
db upgrade
check
""".strip().splitlines()


@pytest.fixture
def words(story: Story) -> dict[str, str]:
    """A therapist whose name and hours are beyond ASCII, and a booking."""
    profile.update("asha", {"name": "Åsha Rao 李"}, story.now)
    booking = story.ask(note="ça va…")
    [first, *_] = OutboxEmail.select()
    return {"booking": booking.reference, "email": str(first.id), "client": DEE[1]}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_ascii_output_escapes_what_it_cannot_show(
    app: Flask, words: dict[str, str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    for command in COMMANDS:
        typed = command.format(**words).split()
        is_json = as_json and "--help" not in typed
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        status = run([*typed, *(["--json"] if is_json else [])], create=lambda: app)
        out.flush()
        printed = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert status == 0 or typed[0] == "check", typed
        if is_json:
            json.loads(printed)
        if typed[:2] == ["therapist", "list"] and not is_json:
            assert r"\xc5sha Rao \u674e" in printed


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_one_line_and_exit_status_1(
    app: Flask,
    words: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
) -> None:
    for command in COMMANDS:
        typed = command.format(**words).split()
        descriptor = os.open("/dev/full", os.O_WRONLY)
        with monkeypatch.context() as patched:
            full = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            patched.setattr(sys, "stdout", full)
            is_json = as_json and "--help" not in typed
            status = run([*typed, *(["--json"] if is_json else [])], create=lambda: app)
        # What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        full.close()
        said = capsys.readouterr().err
        assert (status, said.count("\n")) == (1, 1), (typed, said)
        assert said == "mindsum: the output cannot be written: No space left on device\n"


@pytest.mark.process
@pytest.mark.parametrize(
    "words", [("--help",), ("emails", "preview", "--help"), ("check",)], ids=str
)
@pytest.mark.parametrize(
    ("redirected", "status"), [(">/dev/full", 1), (">/dev/full 2>&1", 1), ("| true", 1), (">&-", 0)]
)
def test_a_process_whose_output_fails_says_so_without_a_traceback(
    tmp_path: Path, words: tuple[str, ...], redirected: str, status: int
) -> None:
    program = f"{sys.executable} -c 'from app.cli import main; main()' {' '.join(words)}"
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} {redirected}"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'ops.db'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == (1 if words == ("check",) else status)
    assert ran.stderr.count("\n") == (redirected == ">/dev/full")

"""The demo as a visitor starts it: real processes, real SMTP, a clock that can be moved."""

import http.cookiejar
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from app.demo.maildir import StoredMessage, stored_messages
from app.demo.run import API_KEY
from tests.harness.smtp_server import PATIENCE_S, unused_port
from tests.harness.waiting import until

ROOT = Path(__file__).parents[3]
MINDSUM = [sys.executable, "-c", "import sys; from app.cli import main; sys.exit(main())"]


class Demo:
    """A running demo and a browser without scripts."""

    def __init__(self, data: Path, *more: str) -> None:
        self.data = data
        self.port = unused_port()
        self._said = data.with_suffix(".log")
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*MINDSUM, "demo", "--port", str(self.port), "--data", data, *more],
                cwd=ROOT,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._browser = build_opener(
            ProxyHandler({}), HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def open(self, path: str, form: dict[str, str] | None = None) -> str:
        address = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        body = urlencode(form).encode() if form is not None else None
        with self._browser.open(address, body, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def api(self, path: str, body: dict[str, object] | None = None) -> object:
        call = Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            json.dumps(body).encode() if body else None,
            {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"},
        )
        with self._browser.open(call, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def is_up(self) -> bool:
        assert self.process.poll() is None, f"the demo ended: {self.output()}"
        return bool(self.open("/mailbox"))

    def mail(self, kind: str) -> StoredMessage | None:
        found = stored_messages(self.data / "mail")
        return next((one for one in found if one.message["X-Mindsum-Email"] == kind), None)

    def pids(self, program: str = "") -> list[int]:
        """Every process of this demo whose command line holds `program`."""
        mark = f"DEMO_DIR={self.data}".encode()
        return [pid for pid in processes() if mark in proc_bytes(pid, "environ").split(b"\0")
                and program.encode() in proc_bytes(pid, "cmdline")]  # fmt: skip

    def output(self) -> str:
        return self._said.read_text()


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def proc_bytes(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


@contextmanager
def running(data: Path, *more: str) -> Iterator[Demo]:
    demo = Demo(data, *more)
    try:
        until("the mailbox to answer", demo.is_up)
        yield demo
    finally:
        if demo.process.poll() is None:
            os.killpg(demo.process.pid, signal.SIGKILL)
            for pid in demo.pids():
                os.kill(pid, signal.SIGKILL)
        demo.process.wait()


def link(stored: StoredMessage, aim: str) -> str:
    text = stored.message.get_body(("plain",))
    assert text is not None
    found = re.search(rf"http://\S+/link/{aim}/\S+", text.get_content())
    assert found
    return found[0]


def ask(demo: Demo, client: str, index: int) -> str:
    slots = demo.api("/therapists/asha/slots?days=10")
    assert isinstance(slots, list)
    booking = demo.api(
        "/bookings",
        {
            "therapist": "asha",
            "client": {"name": client, "email": f"{client}@clients.example", "timezone": "UTC"},
            "starts_at": slots[index],
            "kind": "paid",
            "note": "",
        },
    )
    assert isinstance(booking, dict)
    return str(booking["reference"])


def test_an_enquiry_is_accepted_from_its_email_and_another_becomes_late(tmp_path: Path) -> None:
    with running(tmp_path / "demo", "--empty") as demo:
        assert demo.mail("booking_requested") is None
        names = [one["slug"] for one in demo.api("/therapists")]  # type: ignore[attr-defined]
        assert sorted(names) == ["asha", "bran", "chi", "farah"]

        ask(demo, "dee", index=-1)
        request = until("the request email", lambda: demo.mail("booking_requested"))
        accept = link(request, "accept")
        assert "<form" in demo.open(accept)
        assert demo.mail("booking_accepted") is None
        demo.open(accept, {})
        until("the acceptance email", lambda: demo.mail("booking_accepted"))

        ask(demo, "eli", index=-3)
        page = demo.open("/mailbox")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        demo.open("/mailbox/clock", {"csrf_token": token[1], "step": "3h"})
        late = ("answer_late", "answer_late_client", "answer_late_ops")
        until("the emails of a late answer", lambda: [demo.mail(kind) for kind in late], all)
        assert "What just happened" in demo.open("/mailbox")

        told_of = re.compile(r"^ *scheduler *\| .*event=late booking=MB-", re.MULTILINE)
        until("the log to show the late answer", demo.output, told_of.search)

        assert all(demo.pids(part) for part in ("mail_server", "granian", "scheduler.py"))
        os.killpg(demo.process.pid, signal.SIGTERM)
        assert demo.process.wait(PATIENCE_S) == 0
        until("every process to end", demo.pids, lambda pids: not pids)
        said = demo.output()
        assert "Traceback" not in said
        assert f"http://127.0.0.1:{demo.port}/mailbox" in said


def test_a_demo_starts_lived_in_and_is_in_reach_of_the_command_line(tmp_path: Path) -> None:
    with running(tmp_path / "demo") as demo:
        listed = demo.api("/therapists")
        assert isinstance(listed, list)
        scores = {each["slug"]: each["score"] for each in listed}
        assert scores["bran"] < scores["farah"] < scores["asha"] < scores["chi"] == 100
        assert demo.mail("new_message")
        for path in ("/", "/therapists/asha", "/sign-in", "/mailbox/previews"):
            assert 'href="/mailbox"' in demo.open(path)
        said = until("the welcome", demo.output, lambda said: "Ctrl+C stops it" in said)
        assert "level=error" not in said
        command = next(line.strip() for line in said.splitlines() if "booking list" in line)
        listing = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
        assert listing.stdout.count("MB-") == 20


def test_a_demo_whose_scheduler_dies_says_so_and_stops(tmp_path: Path) -> None:
    with running(tmp_path / "demo") as demo:
        started = re.compile(r"event=scheduler_started .*pid=(\d+)")
        found = until("the scheduler", lambda: started.search(demo.output()))
        os.kill(int(found[1]), signal.SIGKILL)
        assert demo.process.wait(PATIENCE_S) == 1
        assert "ended by itself" in demo.output()
        until("every process to end", demo.pids, lambda pids: not pids)


def test_a_taken_port_gets_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*MINDSUM, "demo", "--port", str(port)], capture_output=True, text=True, cwd=ROOT
        )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr


def test_the_demo_prints_its_addresses_as_json(tmp_path: Path) -> None:
    with running(tmp_path / "demo", "--empty", "--json") as demo:
        lines = until(
            "the addresses",
            lambda: [line for line in demo.output().splitlines() if line.startswith("{")],
        )
        said = json.loads(lines[0])
        assert said["api_key"] == API_KEY
        assert said["data"] == str(demo.data)
        assert demo.open(said["mailbox"])

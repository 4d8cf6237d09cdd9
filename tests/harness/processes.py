"""The product as real processes on loopback: web, schedulers, commands."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.harness.smtp_server import LOOPBACK, Accepted, MailServer, unused_port
from tests.harness.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
API_KEY = "site-key"
WORKERS_KILL_TIMEOUT = ("--workers-kill-timeout", "8")
"""A granian worker that has only just started ignores the request to end."""


class Site:
    """Starts the processes on one database and talks to them.

    They read their clock's offset from a file in `folder`, so time can be moved for all of them.
    """

    def __init__(self, database_url: str, folder: Path, mail: MailServer) -> None:
        self.mail = mail
        self.folder = folder
        self.port = unused_port()
        self.environment = {
            **os.environ,
            "DATABASE_URL": _with_lock_timeout(database_url),
            "MAIL_SERVER": LOOPBACK,
            "MAIL_PORT": str(mail.port),
            "PUBLIC_URL": f"http://{LOOPBACK}:{self.port}",
            "PORT": str(self.port),
            "API_KEYS": API_KEY,
            "DEMO_DIR": str(folder),
            "RATELIMIT_ENABLED": "false",
            "PRESS_GUARD": "false",
            "OUTBOX_RETRY_SECONDS": "0.5",
            "SWEEP_SECONDS": "1",
        }

    def mindsum(self, *arguments: str) -> str:
        """Run a command and return its standard output. AssertionError if it fails."""
        run = subprocess.run(
            [sys.executable, "-c", "from app.cli import main; main()", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE_S,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    @contextmanager
    def spawn(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A Python process; it gets SIGTERM at the end of the block, and must end then."""
        # A program given as text (`-c`) is not a file name.
        name = re.sub(r"\W+", "-", Path(arguments[-1]).stem)[-40:]
        log = (self.folder / f"{name}-{time.monotonic_ns()}.log").open("wb")
        started = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
                raise
            finally:
                log.close()

    @contextmanager
    def running(self, schedulers: int = 1) -> Iterator[None]:
        """Web and schedulers, started and ready."""
        web = (
            "-m", "granian", "--interface", "rsgi", "--factory", "app.serve:worker", "--host",
            LOOPBACK, "--port", str(self.port), "--workers", "2", "--no-ws",
            *WORKERS_KILL_TIMEOUT,
        )  # fmt: skip
        with ExitStack() as stack:
            commands = [web, *[("scheduler.py",)] * schedulers]
            started = [stack.enter_context(self.spawn(*each)) for each in commands]
            self.await_ready(started)
            yield

    def await_ready(self, started: Sequence[subprocess.Popen[bytes]]) -> None:
        """Wait until /readyz says so; AssertionError with the logs if one of `started` ends."""

        def look() -> tuple[int, Any]:
            assert all(each.poll() is None for each in started), self.logs()[-4000:]
            return self.call("GET", "/readyz")

        until("the site to be ready", look, is_ok)

    def logs(self) -> str:
        """What all processes have written to their standard output and error."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def call(
        self, method: str, path: str, body: Any = None, form: str | None = None, key: str = ""
    ) -> tuple[int, Any]:
        """Send one request, with `key` as Idempotency-Key; the status, and the JSON or text."""
        headers = {"Authorization": f"Bearer {API_KEY}"} if path.startswith("/api") else {}
        if key:
            headers["Idempotency-Key"] = key
        sent = None
        if body is not None:
            sent, headers["Content-Type"] = json.dumps(body), "application/json"
        elif form is not None:
            sent, headers["Content-Type"] = form, "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(text) if is_json else text

    def ask(self, starts_at: str, client: str = "dee", kind: str = "paid") -> tuple[int, Any]:
        """Request a session with Asha through the API."""
        person = {"name": f"{client.title()} Stone", "email": f"{client}@clients.example"}
        return self.call(
            "POST",
            "/api/v1/bookings",
            {
                "therapist": "asha",
                "client": {**person, "timezone": "America/New_York"},
                "starts_at": starts_at,
                "kind": kind,
                "note": "for Asha's eyes",
            },
        )

    def open_times(self, days: int = 20) -> list[str]:
        """Asha's open start times, as the API writes them."""
        status, slots = self.call("GET", f"/api/v1/therapists/asha/slots?days={days}")
        assert status == 200
        return list(slots)

    def email_about(self, kind: str, reference: str) -> Accepted:
        """Wait for the first email of that kind about that booking."""
        what = f"the email {kind} about {reference}"
        return until(what, lambda: self.emails(kind, reference), len)[0]

    def emails(self, kind: str, reference: str | None = None) -> list[Accepted]:
        """The emails of that kind that have arrived."""
        return [
            each
            for each in self.mail.messages
            if each.kind == kind and reference in (None, each.parsed["X-Mindsum-Booking"])
        ]

    def click(self, mail: Accepted, purpose: str) -> tuple[int, Any]:
        """Open the emailed link for `purpose` and press its one button."""
        path = self.link(mail, purpose)
        status, _ = self.call("GET", path)
        assert status == 200
        return self.call("POST", path, form="")

    def link(self, mail: Accepted, purpose: str) -> str:
        """The path of the emailed link for `purpose`."""
        body = mail.parsed.get_body(("plain",))
        assert body is not None
        found = re.search(rf"http://\S+/link/{purpose}/[\w.\-]+", body.get_content())
        assert found, f"no link for {purpose}"
        return urlsplit(found[0]).path

    def pass_time(self, span: timedelta) -> None:
        """Move the clock of every process forward."""
        clock = self.folder / "clock"
        offset_s = int(clock.read_text() or 0) if clock.exists() else 0
        new = self.folder / "clock.new"
        new.write_text(str(offset_s + int(span.total_seconds())))
        new.replace(clock)

    def move_to(self, instant: datetime, now: datetime) -> None:
        """Move the clock of every process from `now` to that instant."""
        self.pass_time(instant - now)


def is_ok(answer: tuple[int, Any]) -> bool:
    return answer[0] == 200


def _with_lock_timeout(url: str) -> str:
    """Let PostgreSQL wait long for a lock: on a busy machine, its holder may stall."""
    if url.startswith("sqlite:"):
        return url
    return f"{url}{'&' if '?' in url else '?'}options=-c%20lock_timeout%3D19s"

"""The product as ops runs it: web, schedulers and a mail server as real processes on loopback."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.harness.smtp_server import LOOPBACK, Accepted, MailServer, unused_port
from tests.harness.waiting import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
API_KEY = "site-key"
ENDS_WORKERS = ("--workers-kill-timeout", "8")
"""A worker of granian's that has only just begun does not hear that it should end."""


class Site:
    """Running processes and how to talk to them; the clock file moves time for all of them."""

    def __init__(self, database_url: str, folder: Path, mail: MailServer) -> None:
        self.mail = mail
        self.folder = folder
        self.port = unused_port()
        self.environment = {
            **os.environ,
            "DATABASE_URL": _patient(database_url),
            "MAIL_SERVER": LOOPBACK,
            "MAIL_PORT": str(mail.port),
            "PUBLIC_URL": f"http://{LOOPBACK}:{self.port}",
            "PORT": str(self.port),
            "API_KEYS": API_KEY,
            "DEMO_DIR": str(folder),
            "RATELIMIT_ENABLED": "false",
            "OUTBOX_RETRY_SECONDS": "0.5",
            "SWEEP_SECONDS": "1",
        }

    def mindsum(self, *arguments: str) -> str:
        """Run the command line; its standard output. AssertionError if it fails."""
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
        """A Python process that is ended with SIGTERM, and must end by that."""
        # A program given as text (`-c`) is no file name.
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
        """Web and schedulers, up and answering."""
        web = (
            "-m", "granian", "--interface", "wsgi", "--factory", "app:create_app", "--host",
            LOOPBACK, "--port", str(self.port), "--workers", "2", "--blocking-threads", "8",
            *ENDS_WORKERS,
        )  # fmt: skip
        with ExitStack() as stack:
            stack.enter_context(self.spawn(*web))
            for _ in range(schedulers):
                stack.enter_context(self.spawn("scheduler.py"))
            until("the site to be ready", lambda: self.call("GET", "/readyz"), is_ok)
            yield

    def call(
        self, method: str, path: str, body: Any = None, form: str | None = None, key: str = ""
    ) -> tuple[int, Any]:
        """One request, perhaps with an Idempotency-Key; the status, and the JSON or text."""
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
        """Ask Asha for a session through the API."""
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
        """Asha's open times."""
        status, slots = self.call("GET", f"/api/v1/therapists/asha/slots?days={days}")
        assert status == 200
        return list(slots)

    def email_about(self, kind: str, reference: str) -> Accepted:
        """The email of that kind about that booking, once it has come."""
        what = f"the email {kind} about {reference}"
        return until(what, lambda: self.emails(kind, reference), len)[0]

    def emails(self, kind: str, reference: str | None = None) -> list[Accepted]:
        """Every email of that kind so far."""
        return [
            each
            for each in self.mail.messages
            if each.parsed["X-Mindsum-Email"] == kind
            and reference in (None, each.parsed["X-Mindsum-Booking"])
        ]

    def click(self, mail: Accepted, aim: str) -> tuple[int, Any]:
        """Open the emailed link for `aim` and press its one button."""
        path = self.link(mail, aim)
        status, _ = self.call("GET", path)
        assert status == 200
        return self.call("POST", path, form="")

    def link(self, mail: Accepted, aim: str) -> str:
        """The path of the emailed link for `aim`."""
        body = mail.parsed.get_body(("plain",))
        assert body is not None
        found = re.search(rf"http://\S+/link/{aim}/[\w.\-]+", body.get_content())
        assert found, aim
        return urlsplit(found[0]).path

    def pass_time(self, span: timedelta) -> None:
        """Move the clock of every process forward."""
        clock = self.folder / "clock"
        moved = int(clock.read_text() or 0) if clock.exists() else 0
        fresh = self.folder / "clock.new"
        fresh.write_text(str(moved + int(span.total_seconds())))
        fresh.replace(clock)

    def move_to(self, instant: datetime, now: datetime) -> None:
        """Move the clock of every process to that instant."""
        self.pass_time(instant - now)


def is_ok(answer: tuple[int, Any]) -> bool:
    return answer[0] == 200


def _patient(url: str) -> str:
    """PostgreSQL waits longer for a lock than usual: on a busy machine, who has it may stall."""
    if url.startswith("sqlite:"):
        return url
    return f"{url}{'&' if '?' in url else '?'}options=-c%20lock_timeout%3D19s"

"""The demo: web, scheduler and a local mail server on this machine, with therapists to ask."""

import json
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO
from urllib.request import ProxyHandler, build_opener

import click
from honcho.manager import Manager
from honcho.printer import Message, Printer

from app import clock, config, create_app, listening
from app.config import Settings
from app.demo import history, therapists
from app.demo.mail_server import LOOPBACK
from app.errors import ConfigError
from app.store import queries
from app.store.db import database

API_KEY = "demo"
# Who plays ops.
OPS = "olu@mindsum.example"
READY_WITHIN_S = 60
# The exit statuses that honcho has for SIGINT and SIGTERM.
STOPPED_BY_SIGNAL = {130, 143}
_ROOT = Path(__file__).parents[2]
# Without a proxy: the environment may name one, but the site is on this machine.
_open = build_opener(ProxyHandler({})).open


def run(
    port: int,
    data: Path | str | None = None,
    *,
    is_empty: bool = False,
    as_json: bool = False,
) -> int:
    """Serve on loopback until a signal, with three weeks of bookings unless it `is_empty`.

    With `as_json` the addresses are one line of JSON on standard output, and logs go to the other.
    Exit status: 1 if a process ended, 2 for a bad setting.
    """
    # Even a stop before honcho handles signals removes the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if not 1 <= port <= 65535:
            raise _CannotStartError(f"--port should be a port from 1 to 65535, not {port}")
        with ExitStack() as at_end:
            folder = _folder(data, at_end)
            mail_port = _free_port()
            os.environ.update(_variables(port, mail_port, _free_port(), folder))
            settings = config.load()
            _check_port(settings)
            _prepare_database(settings, folder, is_empty=is_empty)
            return _serve(settings, folder, is_kept=data is not None, as_json=as_json)
    except (_CannotStartError, ConfigError) as error:
        _say(str(error))
        return 2


class _CannotStartError(Exception):
    pass


def _say(words: str) -> None:
    click.echo(f"mindsum demo: {words}", err=True)


def _check_port(settings: Settings) -> None:
    try:
        listening.listen(settings.bind_address, settings.port).close()
    except OSError as error:
        reason = (error.strerror or "it is in use").lower()
        raise _CannotStartError(
            f"cannot listen on port {settings.port} of {settings.bind_address} ({reason});"
            " choose another with --port"
        ) from None


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def _folder(data: Path | str | None, at_end: ExitStack) -> Path:
    if data is None:
        temporary = tempfile.TemporaryDirectory(prefix="mindsum-", ignore_cleanup_errors=True)
        return Path(at_end.enter_context(temporary))
    folder = Path(data).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise _CannotStartError(f"cannot write to --data {folder} ({reason})") from None
    return folder


def _variables(port: int, mail_port: int, door_port: int, folder: Path) -> dict[str, str]:
    # An empty value asks for the default, whatever the environment had.
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'mindsum.db'}",
        "DEMO_DIR": str(folder),
        "PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "MAIL_SERVER": LOOPBACK,
        "MAIL_PORT": str(mail_port),
        "MAIL_USE_TLS": "",
        "MAIL_USE_SSL": "",
        "MAIL_USERNAME": "",
        "MAIL_PASSWORD": "",
        # The mailbox sends answers there, as mail programs would.
        "INBOUND_DOMAIN": "in.mindsum.invalid",
        "INBOUND_PORT": str(door_port),
        "INBOUND_BIND": LOOPBACK,
        "INBOUND_LMTP": "",
        "INBOUND_REQUIRE_AUTH": "",
        "DKIM_KEY": "",
        "DKIM_SELECTOR": "",
        "OUTBOX_RETRY_SECONDS": "1",
        # A press on the demo's clock shows its effect within two seconds.
        "SWEEP_SECONDS": "1",
        "RATELIMIT_ENABLED": "false",
        # In the demo one person plays everybody.
        "OPEN_PER_THERAPIST": "1000",
        "CONFIRM_ADDRESS": "",
        # Its mailbox shows an email at once and scans none.
        "PRESS_GUARD": "false",
        "API_KEYS": API_KEY,
        "OPS_SIGN_IN": OPS,
        "LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
    }


def _prepare_database(settings: Settings, folder: Path, *, is_empty: bool) -> None:
    app = create_app(settings)
    database.upgrade()
    with app.app_context(), database.connection():
        is_new = not queries.every_therapist()
        therapists.add_missing(clock.now())
        if is_new and not is_empty:
            history.make(app, folder)


def _commands(settings: Settings, folder: Path) -> dict[str, list[str]]:
    granian = "-m granian --interface rsgi --no-ws --factory --workers 1"
    # granian's warnings are about the number of cores; a browser keeps idle connections open.
    quiet = "--log-level error --workers-kill-timeout 3"
    where = f"--host {settings.bind_address} --port {settings.port}"
    return {
        "mail": ["-m", "app.demo.mail_server", str(settings.mail_port), str(folder)],
        "web": [*f"{granian} {quiet} {where}".split(), "app.serve:worker"],
        "inbound": ["-m", "app.inbound"],
        "scheduler": ["scheduler.py"],
    }


def _serve(settings: Settings, folder: Path, *, is_kept: bool, as_json: bool) -> int:
    port = settings.port
    words = _addresses(port, folder) if as_json else _welcome(port, folder, is_kept=is_kept)
    ready = _Readiness(settings, words)
    commands, output = _commands(settings, folder), sys.stderr if as_json else sys.stdout
    manager = _Manager(len(commands), output, when_started=ready.watch)
    for name, arguments in commands.items():
        # `exec`, or a shell would stand between honcho and the process.
        command = f"exec {shlex.join([sys.executable, *arguments])}"
        manager.add_process(name, command, cwd=str(_ROOT))
    # Its processes have sessions of their own, which a closed terminal does not reach.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager.loop()
    if ready.is_overdue:
        _say(f"the site did not answer within {READY_WITHIN_S} s")
        return 1
    if manager.returncode not in STOPPED_BY_SIGNAL:
        _say("a process ended by itself (see above), so the demo stopped the rest")
        return 1
    return 0


class _Manager(Manager):  # type: ignore[misc] # the package ships no types
    """Honcho's manager, which also survives a signal before every process has started."""

    def __init__(self, count: int, output: TextIO, when_started: Callable[[], None]) -> None:
        self._missing = count
        self._when_started = when_started
        self._is_stopping = False
        super().__init__(_Output(output, self._note_start))

    def terminate(self) -> None:
        # honcho knows no process id of a process that has not started yet.
        self._is_stopping = True
        if not self._missing:
            super().terminate()

    def _note_start(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._when_started()
            if self._is_stopping:
                self.terminate()


class _Output(Printer):  # type: ignore[misc] # the package ships no types
    """Prints what the processes print, and calls `note_start` as each of them starts."""

    def __init__(self, output: TextIO, note_start: Callable[[], None]) -> None:
        super().__init__(output, time_format="")
        self._note_start = note_start

    def write(self, message: Message) -> None:
        # The reader may have gone: `mindsum demo | head`.
        with suppress(BrokenPipeError):
            super().write(message)
        if message.name == "system" and " started (pid=" in message.data:
            self._note_start()


class _Readiness:
    def __init__(self, settings: Settings, words: str) -> None:
        self._words = words
        host = listening.reachable_at(settings.bind_address)
        self._health = f"http://{host}:{settings.port}/healthz"
        self.is_overdue = False

    def watch(self) -> None:
        # honcho's loop has the main thread.
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        give_up_at = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at:
            if self._answers():
                click.echo(self._words)
                return
            time.sleep(0.2)
        self.is_overdue = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _answers(self) -> bool:
        # URLError, too, is an OSError.
        with suppress(OSError), _open(self._health, timeout=5) as page:
            return bool(page.status == 200)
        return False


def _addresses(port: int, folder: Path) -> str:
    site = f"http://{LOOPBACK}:{port}"
    return json.dumps(
        {
            "site": f"{site}/",
            "mailbox": f"{site}/mailbox",
            "sign_in": f"{site}/sign-in",
            "ops": f"{site}/ops",
            "api": f"{site}/api/v1",
            "api_key": API_KEY,
            "data": str(folder),
        }
    )


def _welcome(port: int, folder: Path, *, is_kept: bool) -> str:
    site = f"http://{LOOPBACK}:{port}"
    kept = f"Everything is kept in {folder}." if is_kept else "Nothing is kept afterwards."
    return f"""
  Mindsum Bookings is running.

    The site      {site}/
    Every email   {site}/mailbox

  Try this first
    1. Open the site, choose a therapist and ask for a session; any name and address will do.
    2. Open the mailbox: press Confirm Request in the email to you, then the page's button.
    3. The therapist's request is there at once. Answer its calendar entry with Yes,
       as a calendar would, or click Accept and confirm.
    4. The client's confirmation follows. Or do not answer, and click "+3 hours" there.

  Therapists sign in at {site}/sign-in, for example as {therapists.ADDRESSES[0]};
  ops signs in at {site}/ops as {OPS}.
  The links come to the mailbox. The API key is "{API_KEY}". {kept}
  The command line works on this demo too, in another terminal:

    {config.current().command} booking list

  Ctrl+C stops it. Below: what the site and the scheduler log.
"""

"""The demo: web, scheduler and a local mail server on this machine, with therapists to ask."""

import errno
import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import click

from app import clock, create_app
from app.demo import therapists
from app.demo.processes import Part, StopSignal, started, wait
from app.errors import ConfigError
from app.maildir import serve_maildir
from app.store.db import database

LOOPBACK = "127.0.0.1"
API_KEY = "demo"
READY_WITHIN_S = 60
# The site is on this machine, whatever proxy the environment names for the rest of the world.
_open = build_opener(ProxyHandler({})).open


def run(port: int, data: Path | str | None = None) -> int:
    """Serve the demo on `port` of loopback until SIGTERM or SIGINT.

    Everything is kept in the folder `data`; without one, in a temporary folder that goes with the
    demo. Returns the exit status: 0 when it was stopped, 1 when a part of it ended by itself, 2
    where port, folder or a setting will not do, which one line names.
    """
    stop = StopSignal()
    try:
        _check_port(port)
        with ExitStack() as on_exit:
            return _serve(port, _folder(data, on_exit), data is not None, stop)
    except (_WillNotDoError, ConfigError) as error:
        _say(str(error))
        return 2


class _WillNotDoError(Exception):
    """The demo cannot start; the message says in one line what would be right."""


def _say(words: str) -> None:
    click.echo(f"mindsum demo: {words}", err=True)


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise _WillNotDoError(f"--port should be a port from 1 to 65535, not {port}")
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or errno.EADDRINUSE).lower()
        raise _WillNotDoError(
            f"port {port} will not do ({reason}); choose another with --port"
        ) from None


def _folder(data: Path | str | None, on_exit: ExitStack) -> Path:
    if data is None:
        temporary = tempfile.TemporaryDirectory(prefix="mindsum-", ignore_cleanup_errors=True)
        return Path(on_exit.enter_context(temporary))
    folder = Path(data).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = (error.strerror or "it cannot be had").lower()
        raise _WillNotDoError(f"--data {folder} will not do ({reason})") from None
    return folder


def _serve(port: int, folder: Path, is_kept: bool, stop: StopSignal) -> int:
    with serve_maildir(LOOPBACK, 0, folder / "mail") as mail:
        os.environ.update(_variables(port, mail.port, folder))
        _prepare()
        if stop.came:
            return 0
        with started(_parts(port)) as parts:
            if wait(parts, stop, until=lambda: _is_up(port), within_s=READY_WITHIN_S):
                _welcome(port, folder if is_kept else None)
                wait(parts, stop)
            return _verdict(parts, stop)


def _variables(port: int, mail_port: int, folder: Path) -> dict[str, str]:
    """The settings that make a demo; an empty one means its default."""
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
        "OUTBOX_RETRY_SECONDS": "1",
        "RATELIMIT_ENABLED": "false",
        "API_KEYS": API_KEY,
        "LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
    }


def _prepare() -> None:
    """Bring schema and therapists into place; this process then leaves the database alone."""
    app = create_app()
    database.upgrade()
    with app.app_context(), database.connection():
        therapists.add_missing(clock.now())


def _parts(port: int) -> dict[str, list[str]]:
    granian = "-m granian --interface wsgi --factory --workers 1 --blocking-threads 8"
    # Its warnings are about this machine's cores; a browser's idle connection must not hold it up.
    quiet = "--log-level error --workers-kill-timeout 3"
    bound = f"--host {LOOPBACK} --port {port}"
    return {
        "web": [*f"{granian} {quiet} {bound}".split(), "app.serve:worker"],
        "scheduler": ["scheduler.py"],
    }


def _is_up(port: int) -> bool:
    try:
        with _open(f"http://{LOOPBACK}:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _verdict(parts: Sequence[Part], stop: StopSignal) -> int:
    if stop.came:
        return 0
    ended = [part for part in parts if part.exit_status is not None]
    for part in ended:
        _say(f"{part.name} ended by itself (exit status {part.exit_status}); stopping the rest")
    if not ended:
        _say(f"the site did not answer within {READY_WITHIN_S} s; stopping")
    return 1


def _welcome(port: int, kept_in: Path | None) -> None:
    site = f"http://{LOOPBACK}:{port}"
    stays = f"Everything is kept in {kept_in}." if kept_in else "Nothing is kept afterwards."
    click.echo(
        f"""
  Mindsum Bookings is running.

    The site      {site}/
    Every email   {site}/mailbox

  Try this first
    1. Open the site, choose a therapist and ask for a session; any name and address will do.
    2. Open the mailbox: the therapist's request is there. Click Accept, then confirm.
    3. The client's confirmation follows at once. Or do not answer, and click "+3 h" there.

  Therapists sign in at {site}/sign-in, for example as {therapists.ADDRESSES[0]};
  the link comes to the mailbox. The API key is "{API_KEY}". {stays}
  Ctrl+C stops it. Below: what the site and the scheduler log.
"""
    )

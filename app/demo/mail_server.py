"""The demo's mail server as a process of its own: `python -m app.demo.mail_server PORT FOLDER`."""

import signal
import sys
from pathlib import Path

from app import clock
from app.demo.maildir import serve_maildir

LOOPBACK = "127.0.0.1"


def main(port: str, folder: str) -> None:
    """Store mail in `folder`/mail, dated by the clock in `folder`, until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    clock.follow(Path(folder) / "clock")
    with serve_maildir(LOOPBACK, int(port), Path(folder) / "mail"):
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The web process: look at the settings, then become granian; `python -m app.serve`."""

import os
import sys

from app import config
from app.config import Settings
from app.errors import ConfigError

BLOCKING_THREADS = 8


def command(settings: Settings) -> list[str]:
    """The server's command line. Never with an access log: addresses hold signed links."""
    return [
        sys.executable, "-m", "granian", "app:create_app",
        "--interface", "wsgi",
        "--factory",
        "--host", "0.0.0.0",  # noqa: S104 - a platform's router, or a proxy, stands in front
        "--port", str(settings.port),
        "--workers", str(settings.web_concurrency),
        "--blocking-threads", str(BLOCKING_THREADS),
        "--respawn-failed-workers",
        "--no-access-log",
        "--log-level", "error",
    ]  # fmt: skip


def main() -> None:
    """Serve until SIGTERM or SIGINT; a setting that will not do is one line and exit status 2."""
    try:
        settings = config.load()
    except ConfigError as error:
        print(f"web: {error}", file=sys.stderr)  # noqa: T201 - for whoever starts it
        sys.exit(2)
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - our own words, no shell


if __name__ == "__main__":
    main()

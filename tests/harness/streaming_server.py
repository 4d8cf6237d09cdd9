"""The site's web process with two streamed answers, `/whole` and `/broken`, and a plain page."""

from collections.abc import Iterator

from flask import Flask, Response

from app.config import Settings
from app.web.server import Server

PARTS = [f"row {number}\n".encode() * 1000 for number in range(20)]


def worker() -> Server:
    app = Flask("streaming")
    app.add_url_rule("/whole", "whole", lambda: Response(iter(PARTS)))
    app.add_url_rule("/broken", "broken", lambda: Response(_broken()))
    app.add_url_rule("/healthz", "healthz", lambda: "up")
    return Server(app, Settings(), threads=2)


def _broken() -> Iterator[bytes]:
    yield from PARTS[:10]
    raise OSError("the database is gone")

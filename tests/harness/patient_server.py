"""The site's web process, but with an hour for each body: what is slow hangs while a test lasts."""

from app import serve
from app.web import server
from app.web.server import Server


def worker() -> Server:
    server.BODY_WITHIN_S = 3600.0
    return serve.worker()

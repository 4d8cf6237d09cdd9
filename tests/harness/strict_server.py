"""The site's web process with the limits of a real site, although DEMO_DIR moves its clock."""

from app import serve
from app.services import limits
from app.web.server import Server


def worker() -> Server:
    limits.DEMO_TIMES = 1
    return serve.worker()

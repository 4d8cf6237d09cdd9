"""Request durations by endpoint, counted across the server's workers."""

import os
import time
from contextlib import suppress
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

# prometheus-client reads this variable when it is imported: `app.serve` sets it before the workers
# start, and each of them then counts in a file of its own in that folder. The files of ended
# workers stay, so counters never fall.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# By endpoint, never by address: addresses hold signed links.
_durations = Histogram(
    "mindsum_http_request_duration_seconds",
    "How long requests took, by endpoint, method and class of status",
    ("endpoint", "method", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
    registry=None,
)


def add_to(registry: CollectorRegistry) -> None:
    """Register the durations of all workers, or of this process alone where it is the only one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        registry.register(_durations)
    else:
        Path(folder).mkdir(mode=0o700, exist_ok=True)
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]


def _start_timer() -> None:
    g.started_s = time.perf_counter()


def _observe(response: Response) -> Response:
    started_s = g.pop("started_s", None)
    if started_s is not None:
        method = request.method if request.method in _METHODS else "other"
        status = f"{response.status_code // 100}xx"
        # Without its file (a full disk, a removed folder) a worker still answers.
        with suppress(OSError):
            durations = _durations.labels(request.endpoint or UNMATCHED, method, status)
            durations.observe(time.perf_counter() - started_s)
    return response


def register(app: Flask) -> None:
    """Time every request. Call before other hooks are registered, so that they are counted too."""
    app.before_request(_start_timer)
    app.after_request(_observe)

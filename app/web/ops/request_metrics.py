"""Request durations by endpoint, and presses of links, counted across the server's workers."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# prometheus-client reads this variable when it is imported: `app.serve` sets it before the workers
# start, and each of them then counts in a file of its own in that folder. The files of ended
# workers stay, so counters never fall.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Room for 300 combinations of endpoint, method and status.
_FILE_BYTES = 1 << 20

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
_presses = Counter(
    "mindsum_presses",
    "Presses on the pages of links, by what came of them",
    ("outcome",),
    registry=None,
)
_log = structlog.get_logger("mindsum")


class _AllWorkers(Collector):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        try:
            # A worker that was killed while it started leaves an empty file.
            files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
            merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        # The library raises errors of many kinds for a broken file.
        except Exception as error:
            _log.warning("request_metrics_unreadable", error=type(error).__name__)
            return []
        return merged


def add_to(registry: CollectorRegistry) -> None:
    """Register the figures of all workers, or of this process alone where it is the only one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        registry.register(_durations)
        registry.register(_presses)
    else:
        registry.register(_AllWorkers(Path(folder)))


def _reserve_file(folder: Path) -> None:
    # prometheus-client maps this file into memory as it finds it. Writing to a map for which the
    # disk has no room kills the process with SIGBUS, so take the room first.
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind in ("histogram", "counter"):
        with (folder / f"{kind}_{os.getpid()}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)


def _start_timer() -> None:
    g.started_s = time.perf_counter()


def _observe(response: Response) -> Response:
    started_s = g.pop("started_s", None)
    if started_s is not None:
        method = request.method if request.method in _METHODS else "other"
        status = f"{response.status_code // 100}xx"
        # What was done for the request is done: it gets its answer, counted or not.
        with suppress(Exception):
            durations = _durations.labels(request.endpoint or UNMATCHED, method, status)
            durations.observe(time.perf_counter() - started_s)
    return response


def count_press(outcome: str) -> None:
    # What was pressed for is done, counted or not.
    with suppress(Exception):
        _presses.labels(outcome).inc()


def register(app: Flask) -> None:
    """Time every request. Call before other hooks are registered, so that they are counted too."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is not None:
        try:
            _reserve_file(Path(folder))
        except OSError as error:
            _log.warning("requests_not_counted", why=error.strerror)
            return
    app.before_request(_start_timer)
    app.after_request(_observe)

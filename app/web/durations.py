"""How long requests take, by endpoint; never by address, for addresses hold signed links."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which all workers of one server count together."""

NOWHERE = "unmatched"
"""The endpoint of a request for which there is none."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_own = CollectorRegistry(auto_describe=False)
_taken = Histogram(
    "mindsum_http_request_duration_seconds",
    "How long requests took, by endpoint, method and class of status",
    ("endpoint", "method", "status"),
    buckets=_BUCKETS_S,
    registry=_own,
)


class Durations(Collector):
    """What all workers of this server have counted; without a folder, this process alone."""

    def collect(self) -> Iterator[Metric]:
        """The histogram."""
        folder = os.environ.get(FOLDER)
        if folder is None:
            yield from _own.collect()
            return
        # A worker that was killed as it made its file leaves one that is empty for good.
        files = [str(each) for each in Path(folder).glob("*.db") if each.stat().st_size]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


def _begin() -> None:
    g.began_s = time.perf_counter()


def _end(response: Response) -> Response:
    began_s = g.pop("began_s", None)
    if began_s is not None:
        method = request.method if request.method in _METHODS else "other"
        status = f"{response.status_code // 100}xx"
        _taken.labels(request.endpoint or NOWHERE, method, status).observe(
            time.perf_counter() - began_s
        )
    return response


def register(app: Flask) -> None:
    """Time every request, those of ops too: each is an endpoint of its own and hides no other.

    Comes before all other hooks, so that what they take is counted.
    """
    app.before_request(_begin)
    app.after_request(_end)

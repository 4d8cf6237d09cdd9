"""How long requests take, by endpoint; never by address, for addresses hold signed links."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which all workers of one server count together."""

NOWHERE = "unmatched"
"""The endpoint of a request for which there is none."""

FILE_BYTES = 1024 * 1024
"""One worker's file: some 300 kinds of request at about 3 kB each, more than a house ever sees."""

_SPARE_BYTES = 64 * 1024
_USED_BYTES = 4
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
    """What all workers of this server have counted; without their files, this process alone."""

    def collect(self) -> Iterator[Metric]:
        """The histogram."""
        together: list[Metric] = []
        # Whatever has happened to the files, the other figures must still be told.
        with suppress(Exception):
            together = _of_all_workers()
        yield from together or _own.collect()


def _of_all_workers() -> list[Metric]:
    folder = os.environ.get(FOLDER)
    if folder is None:
        return []
    # A worker that was killed as it made its file leaves one that is empty for good.
    files = [str(each) for each in Path(folder).glob("*.db") if each.stat().st_size]
    return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


class _Kinds:
    """The kinds of request this process counts: in its file while that has room, or in memory."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str]] = set()
        self._file: int | None = None

    def open(self, folder: Path) -> None:
        """Take a file in `folder`, blocks and all; where that fails, count in memory alone.

        The file is written through a memory map, where a disk that has become full is no error
        but the end of the process. So nothing is ever written that has no block yet.
        """
        own = folder / f"histogram_{os.getpid()}.db"
        try:
            _free_what_the_dead_left(folder)
            self._file = os.open(own, os.O_RDWR | os.O_CREAT, 0o600)
            os.posix_fallocate(self._file, 0, FILE_BYTES)
            # Opens the file now: later a cleaner may have removed it, and a new one has no blocks.
            _taken.labels("ops.healthz", "GET", "2xx")
        except Exception:
            self._file = None
            values.ValueClass = values.MutexValue
            os.environ.pop(FOLDER, None)
            with suppress(OSError):
                own.unlink()

    def has_room(self, kind: tuple[str, str, str]) -> bool:
        """Whether `kind` can be counted; one too many is left out, for the file must not grow."""
        if kind not in self._known:
            # All threads may ask at once before any of them writes: hence some bytes to spare.
            if self._file is not None and _used(self._file) > FILE_BYTES - _SPARE_BYTES:
                return False
            self._known.add(kind)
        return True


def _used(file: int) -> int:
    return int.from_bytes(os.pread(file, _USED_BYTES, 0), sys.byteorder)


def _free_what_the_dead_left(folder: Path) -> None:
    """Cut the files of ended workers to what is in them, so that many deaths take little room."""
    for left in folder.glob("histogram_*.db"):
        try:
            os.kill(int(left.stem.partition("_")[2]), 0)
        except ProcessLookupError:
            with left.open("r+b") as file:
                file.truncate(_used(file.fileno()))


_kinds = _Kinds()


def _begin() -> None:
    g.began_s = time.perf_counter()


def _end(response: Response) -> Response:
    began_s = g.pop("began_s", None)
    if began_s is not None:
        # No failure to measure an answer may take the place of the answer.
        with suppress(Exception):
            _count(response, time.perf_counter() - began_s)
    return response


def _count(response: Response, took_s: float) -> None:
    method = request.method if request.method in _METHODS else "other"
    kind = (request.endpoint or NOWHERE, method, f"{response.status_code // 100}xx")
    if _kinds.has_room(kind):
        _taken.labels(*kind).observe(took_s)


def register(app: Flask) -> None:
    """Time every request, those of ops too: each is an endpoint of its own and hides no other.

    Comes before all other hooks, so that what they take is counted.
    """
    if FOLDER in os.environ:
        _kinds.open(Path(os.environ[FOLDER]))
    app.before_request(_begin)
    app.after_request(_end)

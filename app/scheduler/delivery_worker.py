"""A second process of the scheduler that only sends emails: one interpreter uses one core."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import structlog

IsOver = Callable[[], bool]
# Yields when the process is to look for work, until a function returns True.
Rings = Callable[[IsOver], Iterator[None]]

# How often it looks whether it is to end.
_LOOK_EVERY_S = 0.2

_log = structlog.get_logger("mindsum")


def is_worthwhile() -> bool:
    """Whether there is another core. Elsewhere a process that has loaded may not be forked."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class DeliveryWorker:
    """Start it before any thread. It ends with its scheduler, however that ends."""

    def __init__(self, work: Callable[[Rings], int]) -> None:
        """`work` runs in the new process until SIGTERM, and returns its exit status."""
        heard, self._rung = os.pipe()
        os.set_blocking(self._rung, False)
        self._is_lost = False
        self._process: BaseProcess = get_context("fork").Process(
            target=self._run, args=(work, heard), daemon=True
        )
        self._process.start()
        os.close(heard)

    def _run(self, work: Callable[[Rings], int], heard: int) -> None:
        os.close(self._rung)
        sys.exit(work(partial(_rings, heard)))

    def ring(self) -> None:
        """Tell it that emails are waiting. Never raises."""
        try:
            # A full pipe has rung it already.
            with suppress(BlockingIOError):
                os.write(self._rung, b".")
        except BrokenPipeError:
            if not self._is_lost:
                self._is_lost = True
                why = "this process sends alone until the scheduler is restarted"
                _log.error("delivery_worker_lost", pid=self._process.pid, why=why)

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def has_ended(self, within_s: float) -> bool:
        """False if it left work behind, or had to be killed now."""
        self._process.join(within_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            return False
        # Killed earlier by somebody else: that has been logged.
        return self._process.exitcode in (0, -signal.SIGKILL)


def _rings(heard: int, is_over: IsOver) -> Iterator[None]:
    while not is_over():
        if select.select([heard], [], [], _LOOK_EVERY_S)[0]:
            if not os.read(heard, 4096):
                # The scheduler has ended, and was perhaps killed.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            yield

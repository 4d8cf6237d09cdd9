"""The scheduler's second process, which only sends emails: one interpreter uses one core."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import structlog

# Yields at each wake-up, until the function it is given returns True.
WakeUps = Callable[[Callable[[], bool]], Iterator[None]]

# Seconds between two looks at whether the process is to stop.
_LOOK_EVERY_S = 0.2

_log = structlog.get_logger("mindsum")


def has_second_core() -> bool:
    """True on Linux alone: others cannot safely fork a process that has loaded its libraries."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class DeliveryWorker:
    """Forks when it is made: before any thread. Raises OSError. It ends when its scheduler does."""

    def __init__(self, work: Callable[[WakeUps], int]) -> None:
        """`work` runs in the new process until SIGTERM, and returns its exit status."""
        read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._is_stopping = False
        self._process: BaseProcess = get_context("fork").Process(
            target=self._run, args=(work, read_end), daemon=True
        )
        self._process.start()
        os.close(read_end)
        threading.Thread(target=self._watch, name="delivery_worker", daemon=True).start()

    def _run(self, work: Callable[[WakeUps], int], read_end: int) -> None:
        os.close(self._write_end)
        sys.exit(work(partial(_wake_ups, read_end)))

    def _watch(self) -> None:
        wait([self._process.sentinel])
        if not self._is_stopping:
            why = "this process sends alone until the scheduler is restarted"
            _log.error("delivery_worker_lost", pid=self._process.pid, why=why)

    def ring(self) -> None:
        """Tell it that emails are waiting. Never raises."""
        # A full pipe: it has not read earlier wake-ups yet. A broken one: it has ended.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._write_end, b".")

    def ask_to_stop(self) -> None:
        self._is_stopping = True
        self._process.terminate()

    def wait_or_kill(self, within_s: float) -> bool:
        """False if it left work behind, or had to be killed here."""
        self._process.join(within_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            return False
        # One that was killed before has been logged.
        return self._process.exitcode in (0, -signal.SIGKILL)


# Not `wakeups.heard`: for a few emails one process is enough, and the end of this pipe says that
# the scheduler has ended.
def _wake_ups(read_end: int, is_over: Callable[[], bool]) -> Iterator[None]:
    while not is_over():
        if select.select([read_end], [], [], _LOOK_EVERY_S)[0]:
            if not os.read(read_end, 4096):
                # Ends the `sigwait` of this process.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            yield

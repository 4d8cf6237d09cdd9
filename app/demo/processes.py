"""Child processes kept together: started, shown, watched and stopped as one."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

import click

STOPPED_WITHIN_S = 7
_ROOT = Path(__file__).parents[2]


class StopSignal:
    """Whether SIGTERM or SIGINT came since this was made."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


class Part:
    """One child process, a Python program; what it prints is shown with its name in front."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self.name = name
        with _deaf_to_interrupts():
            self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [sys.executable, *arguments],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        assert self._process.stdout is not None
        self._echo = threading.Thread(target=self._show, args=(self._process.stdout,), daemon=True)
        self._echo.start()

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._process.terminate()

    def wait_until_stopped(self, until: float) -> None:
        """Wait up to that `time.monotonic()`, then kill it; show what it still had to say."""
        try:
            self._process.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._echo.join(timeout=1)

    def _show(self, lines: IO[str]) -> None:
        # Whoever read our output may have gone before us.
        with lines, suppress(BrokenPipeError):
            for line in lines:
                click.echo(f"{self.name:>9} | {line}", nl=False)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl+C reaches every process of the terminal: a child still starting would trace it back."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def started(commands: dict[str, list[str]]) -> Iterator[list[Part]]:
    """Run every command (its Python arguments by its name); in the end all of them are stopped."""
    parts: list[Part] = []
    try:
        for name, arguments in commands.items():
            parts.append(Part(name, arguments))
        yield parts
    finally:
        for part in parts:
            part.ask_to_stop()
        until = time.monotonic() + STOPPED_WITHIN_S
        for part in parts:
            part.wait_until_stopped(until)


def wait(
    parts: Sequence[Part],
    stop: StopSignal,
    until: Callable[[], bool] = lambda: False,
    within_s: float = float("inf"),
) -> bool:
    """Wait until a condition holds; False if a stop, the end of a part or the time came first."""
    give_up_at = time.monotonic() + within_s
    while not stop.came and time.monotonic() < give_up_at:
        if any(part.exit_status is not None for part in parts):
            # A signal to the whole group reaches the parts too, perhaps before it reaches us.
            time.sleep(0.2)
            return False
        if until():
            return True
        time.sleep(0.1)
    return False

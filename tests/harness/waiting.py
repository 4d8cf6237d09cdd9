"""Waiting for what another thread or process does: with much patience, and never in silence."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 120
"""Seconds until a wait fails. A busy machine may stop a process for many of them."""


def until(
    what: str,
    look: Callable[[], T],
    is_so: Callable[[T], object] = bool,
    *,
    patience_s: float = PATIENCE_S,
) -> T:
    """Look until `is_so` of what was seen, and return that.

    An OSError of `look` counts as something seen: a server that does not answer yet.
    After `patience_s` an AssertionError says what was waited for, and what was seen last.
    """
    deadline, pause_s = time.monotonic() + patience_s, 0.02
    while True:
        try:
            seen: object = look()
            if is_so(seen):  # type: ignore[arg-type]
                return seen  # type: ignore[return-value]
        except OSError as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:g} s for {what}; last saw: {_shown(seen)}")
        time.sleep(pause_s)
        # Looking costs those who are looked at, so a long wait looks less often.
        pause_s = min(pause_s * 1.2, 0.2)


def is_quiet(look: Callable[[], object], looks: int = 8) -> bool:
    """Whether `look` sees the same for so many quarters of a second.

    The looks are counted, not the time: while this process was stopped, so may others have been.
    """
    seen = look()
    for _ in range(looks):
        time.sleep(0.25)
        if look() != seen:
            return False
    return True


def _shown(seen: object) -> str:
    shown = repr(seen)
    return shown if len(shown) <= 1000 else f"{shown[:300]} ... {shown[-700:]}"

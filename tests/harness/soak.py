"""How much the long tests do: a short form, or everything in `make soak`."""

import os
from typing import TypeVar

T = TypeVar("T")


def runs(short: T, full: T) -> T:
    """`full` if SOAK=1 is set."""
    return full if os.environ.get("SOAK") == "1" else short

"""How long tests of chance go on: as long as `make test` can bear, or as `make soak` asks."""

import os
from typing import TypeVar

T = TypeVar("T")


def runs(usual: T, soak: T) -> T:
    """How many, or which: the soak's where SOAK=1 is set."""
    return soak if os.environ.get("SOAK") == "1" else usual

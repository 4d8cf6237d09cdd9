"""How long tests of chance go on: as long as `make test` can bear, or as `make soak` asks."""

import os


def runs(usual: int, soak: int) -> int:
    """How many: the soak's number where SOAK=1 is set."""
    return soak if os.environ.get("SOAK") == "1" else usual

"""Libraries that import others wherever they find them, imported without those."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any


def import_without(absent: str, names: Sequence[str]) -> None:
    """Import `names` as if `absent` were not installed, unless this process has it already."""
    modules: dict[str, Any] = sys.modules
    is_used = modules.setdefault(absent, None) is not None
    for name in names:
        import_module(name)
    if not is_used:
        del modules[absent]

"""Hypothesis: the same examples in every run; `make soak` looks for new ones."""

from functools import cache
from pathlib import Path

import pytest

from tests.harness.soak import runs


def pytest_pycollect_makemodule(module_path: Path) -> None:
    # Its import takes longer than many test files, so only those that use it pay for it.
    if "hypothesis import" in module_path.read_text():
        load_profile()


@cache
def load_profile() -> None:
    import hypothesis
    from hypothesis.internal.conjecture import providers

    hypothesis.settings.register_profile(
        "tests",
        # A slow machine is no failure.
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        derandomize=runs(True, False),
    )
    hypothesis.settings.load_profile("tests")
    if runs(True, False):
        # By default it also draws from the constants in our modules, so that a new number in any
        # of them would change the examples of all tests.
        pytest.MonkeyPatch().setattr(providers, "_get_local_constants", providers.Constants)

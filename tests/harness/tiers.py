"""Which tests run: `--tier=test`, `--tier=rest` or `--tier=all`; without it, those that are named.

A test is marked `process`, `browser` or `faults` by its folder below tests/slow, or in its module.
A test that takes `database_url` has a variant for each database. Its PostgreSQL variant is in the
tier `test` if the test or its module is marked `both_databases`, or if the test itself names the
database.
One test: `.venv/bin/pytest tests/slow/process/test_demo.py`, with `--tier=all` on both databases.
"""

import os
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
SLOW = Path(__file__).parents[1] / "slow"
SLOW_MARKS = ("process", "browser", "faults")
TIERS = {
    "test": "what runs in this process, on PostgreSQL too where the database matters",
    "rest": "what `test` leaves out",
    "all": "every test, on every database",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "; ".join(f"{name}: {what}" for name, what in TIERS.items())
    parser.addoption("--tier", choices=TIERS, help=words)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("REQUIRE_BROWSER") == "1" and not CHROMIUM.exists():
        raise pytest.UsageError(f"REQUIRE_BROWSER=1, but there is no {CHROMIUM}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not CHROMIUM.exists() and config.getoption("tier") in ("rest", "all"):
        terminalreporter.write_line(f"Browser tests were left out: there is no {CHROMIUM}.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("tier") == "test" and collection_path == SLOW else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tier = config.getoption("tier")
    kept, left_out = [], []
    for item in items:
        if item.path.is_relative_to(SLOW):
            item.add_marker(item.path.relative_to(SLOW).parts[0])
        (kept if is_in(item, tier) else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def is_in(item: pytest.Item, tier: str | None) -> bool:
    if item.get_closest_marker("browser") and not CHROMIUM.exists():
        return False
    if tier == "all":
        return True
    if tier is None:
        return not is_second_database(item)
    is_usual = not (is_slow(item) or is_second_database(item))
    return is_usual == (tier == "test")


def is_slow(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(mark) for mark in SLOW_MARKS)


def is_second_database(item: pytest.Item) -> bool:
    """Whether this is the PostgreSQL variant of a test in which the database does not matter."""
    callspec = getattr(item, "callspec", None)
    if callspec is None or callspec.params.get("database_url") != "postgresql":
        return False
    if is_slow(item) or item.get_closest_marker("both_databases"):
        return False
    return not any("database_url" in mark.args[0] for mark in item.iter_markers("parametrize"))

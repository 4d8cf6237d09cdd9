"""Figures that tests measure: printed at the end of a run, from all of its workers."""

from collections.abc import Callable

import pytest

_NAME = "figures"


@pytest.fixture
def report_figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """`report_figures(line)` prints the line at the end of the run if the test passes."""
    return lambda line: request.node.user_properties.append((_NAME, line))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        f"{report.location[2]}: {line}"
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, line in report.user_properties
        if name == _NAME
    ]
    if lines:
        terminalreporter.section(_NAME)
        for line in lines:
            terminalreporter.write_line(line)

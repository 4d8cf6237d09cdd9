"""What the tests of sending share."""

from collections.abc import Callable
from typing import Any

import pytest

Logged = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """`logged(event)`: the values of each of our log lines for that event, oldest first."""

    def lines(event: str) -> list[dict[str, Any]]:
        # The lines of libraries are strings.
        ours = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        return [line for line in ours if line["event"] == event]

    return lines

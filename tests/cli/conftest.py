"""What the tests of the command line share."""

from typing import Any

import pytest
from flask import Flask

from app import cli
from tests.harness.commands import Answer, Mindsum
from tests.scenarios.cast import MONDAY


@pytest.fixture
def mindsum(app: Flask, at: Any, capsys: pytest.CaptureFixture[str]) -> Mindsum:
    """`mindsum("booking", "list")` runs a command on the test's application."""
    at(MONDAY)

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        status = cli.run(arguments, lambda: app)
        printed = capsys.readouterr()
        return Answer(status, printed.out, printed.err)

    return run

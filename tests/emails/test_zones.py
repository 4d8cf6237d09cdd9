"""Time zones come from the pinned tzdata alone, whatever files the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.services import validation
from emails import zones
from emails.safety import UnsafeValue, check_zone
from tests.harness.processes import ROOT

STALE = ("America/Vancouver", "Africa/Casablanca", "Europe/London")
ONLY_HERE = ("localtime", "US/Pacific-New", "Mars/Olympus")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zone files of a machine on which every zone is UTC."""
    folder = tmp_path_factory.mktemp("zoneinfo")
    for name in (*STALE, *ONLY_HERE):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        # A TZif file of version 1 with one type of local time: offset 0, named UTC.
        counts = b"".join(number.to_bytes(4, "big") for number in (0, 0, 0, 0, 1, 4))
        path.write_bytes(b"TZif" + bytes(16) + counts + bytes(6) + b"UTC\0")
    return folder


def said(machine: Path, module: str, expression: str) -> str:
    code = (
        f"import {module}\nfrom datetime import datetime\nfrom zoneinfo import ZoneInfo\n"
        f"from emails import zones\nprint({expression})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONTZPATH": str(machine)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@pytest.mark.process
@pytest.mark.parametrize("module", ["app", "app.serve", "app.cli", "scheduler", "emails"])
def test_every_process_reads_the_pinned_zones_and_not_the_machines(
    machine: Path, module: str
) -> None:
    offsets = "[datetime(2026, 7, 1, tzinfo=ZoneInfo(each)).utcoffset().seconds for each in %r]"
    pinned = "[61200, 3600, 3600]"
    assert said(machine, module, offsets % (STALE,)) == pinned
    assert said(machine, module, f"[each in zones.NAMES for each in {ONLY_HERE!r}]") == str(
        [False] * 3
    )


@pytest.mark.parametrize("name", [*ONLY_HERE, "Factory", "posixrules", "right/UTC", "", "UTC\n"])
def test_a_name_that_the_pinned_zones_lack_is_no_zone(name: str) -> None:
    with pytest.raises(UnsafeValue):
        check_zone("timezone", name)


@pytest.mark.parametrize("name", ["localtime", "Factory", "US/Pacific-New"])
def test_a_form_refuses_a_name_that_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="Europe/London"):
        validation.timezone(name)


@pytest.mark.parametrize("name", ["Europe/London", "America/Vancouver", "UTC", "US/Pacific"])
def test_a_pinned_name_is_a_zone(name: str) -> None:
    assert validation.timezone(name) == name
    assert name in zones.NAMES

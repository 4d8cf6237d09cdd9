"""docs/security.md names a test for each threat, and every requirement of ASVS once."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness.processes import ROOT

TEXT = (ROOT / "docs/security.md").read_text()
THREATS, ASVS = TEXT.split("\n## ASVS", 1)
# Levels 1 and 2 of version 5.0.
REQUIREMENTS = 253
VERDICTS = {"met", "in part", "not met", "not applicable", "yours"}


def rows(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        cells = [each.strip() for each in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == columns and set(cells[0]) != {"-"}:
            yield cells


def named_tests() -> Iterator[tuple[str, str]]:
    """(file, beginning of a test's name, or "" for all of the file)."""
    for threat, _, cell in rows(THREATS, 3):
        if threat == "threat":
            continue
        file = ""
        for part in cell.split("; "):
            found = re.fullmatch(r"(?:`([\w/]+\.py)`)?(?:: )?(.*)", part)
            assert found, part
            file = found[1] or file
            assert file, f"{threat}: no file"
            yield file, re.sub(r"\W+", "_", found[2].lower()).strip("_")


def test_every_test_that_a_threat_names_exists() -> None:
    named = list(named_tests())
    assert len(named) > 60
    missing = []
    for file, beginning in named:
        path = Path(ROOT / "tests" / file)
        text = path.read_text() if path.exists() else ""
        if f"\ndef test_{beginning}" not in text:
            missing.append((file, beginning))
    assert missing == []


def numbers() -> Iterator[str]:
    for first, verdict, _ in rows(ASVS, 3):
        if first == "requirement":
            continue
        assert verdict in VERDICTS, verdict
        for part in first.split(", "):
            start, _, end = part.partition("–")
            section, _, number = start.rpartition(".")
            last = int(end.rpartition(".")[2] or number)
            assert not end or end.startswith(f"{section}.")
            yield from (f"{section}.{each}" for each in range(int(number), last + 1))


def test_every_requirement_of_the_first_two_levels_has_one_verdict() -> None:
    listed = list(numbers())
    twice = {each for each in listed if listed.count(each) > 1}
    assert (len(listed), twice) == (REQUIREMENTS, set())

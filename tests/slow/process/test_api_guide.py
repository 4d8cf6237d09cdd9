"""The commands of docs/api.md, typed as they stand, against a demo."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S
from tests.slow.process.test_demo import running

GUIDE = (ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", GUIDE)
END = "\x1e"


def unlike(shown: Any, real: Any, where: str = "") -> list[str]:
    """What the guide shows that an answer has not: its fields, and its words where it has some."""
    if isinstance(shown, dict):
        if not isinstance(real, dict):
            return [f"{where} is no object"]
        return [
            each
            for name, value in shown.items()
            for each in (
                unlike(value, real[name], f"{where}.{name}") if name in real
                else [f"{where}.{name} is not there"]
            )
        ]  # fmt: skip
    if isinstance(shown, list):
        if not real:
            return [f"{where} is empty"]
        return [each for one in shown for each in unlike(one, real[0], f"{where}[]")]
    if type(shown) is not type(real) and not isinstance(real, float):
        return [f"{where} is {real!r}"]
    return [f"{where} is {real!r}"] if shown not in ("", 0, real) and shown is not True else []


def test_every_command_of_the_guide_does_what_it_says(tmp_path: Path) -> None:
    commands = [text for language, text in BLOCKS if language == "bash"]
    script = "set -eu\n" + "printf '\\036'\n".join(commands)
    with running(tmp_path / "demo") as demo:
        site = {"SITE": f"http://127.0.0.1:{demo.port}", "KEY": "demo"}
        typed = subprocess.run(
            ["bash", "-c", script],
            env={**os.environ, **site},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    assert typed.returncode == 0, typed.stderr
    said = iter(typed.stdout.split(END))
    checked, answer = 0, ""
    for language, text in BLOCKS:
        if language == "bash":
            answer = next(said)
        elif language == "json":
            assert unlike(json.loads(text), json.loads(answer)) == [], text
            checked += 1
        else:
            assert answer == text
            checked += 1
    assert checked >= 8


def test_the_guide_names_every_code_and_every_call() -> None:
    from app.web.api import openapi
    from app.web.api.problems import KINDS

    assert [code for code in KINDS if f"`{code}`" not in GUIDE] == []
    calls = json.loads(openapi.document("http://127.0.0.1"))["paths"]
    typed = re.sub(r"\$\w+|/asha|/MB-\w+", "/*", GUIDE)
    wanted = {re.sub(r"\{\w+\}", "*", path) for path in calls}
    assert [path for path in sorted(wanted) if path not in typed.replace("//*", "/*")] == []

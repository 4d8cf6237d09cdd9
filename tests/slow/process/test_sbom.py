"""What `make sbom` writes is what the lock installs."""

import json
import re
import subprocess
import sys
from pathlib import Path

from app.version import VERSION
from tests.harness.processes import ROOT


def test_the_sbom_names_everything_of_the_lock_with_its_hashes(tmp_path: Path) -> None:
    written = tmp_path / "dist" / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom", written], check=True)
    bom = json.loads(written.read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["version"] == VERSION
    lock = (ROOT / "requirements.lock").read_text()
    pinned = set(re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", lock))
    named = {(each["name"], each["version"]) for each in bom["components"]}
    assert named == pinned
    hashes = {one["content"] for each in bom["components"] for one in each["hashes"]}
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    stated = [each["name"] for each in bom["components"] if each.get("licenses")]
    assert len(stated) > 0.8 * len(named)

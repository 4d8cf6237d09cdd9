"""What a release leaves behind is kept by one command, for the release after it."""

import json
import subprocess
import sys
from pathlib import Path

from app.store.db import database
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S
from tests.scenarios import last_release


def test_todays_data_is_written_like_the_last_releases_and_can_be_restored(tmp_path: Path) -> None:
    kept = tmp_path / "release_next"
    command = [sys.executable, "-m", "tests.scenarios.last_release", str(kept)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_S)

    links = json.loads((kept / "links.json").read_text())
    assert links["links"].keys() == last_release.LINKS["links"].keys()
    assert links["made"] == last_release.LINKS["made"]
    assert links["queued"] == last_release.LINKS["queued"]
    assert json.loads((kept / "wire.json").read_text())["emails"]

    (tmp_path / "next.db").touch()
    last_release.restore(f"sqlite:///{tmp_path / 'next.db'}", kept)
    assert last_release.stored_rows() == json.loads((kept / "rows.json").read_text())
    database.release()

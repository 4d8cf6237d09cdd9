"""How the workers of a server count their requests together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.serve import make_metrics_folder
from app.web.ops.request_metrics import FOLDER_VARIABLE
from tests.harness.waiting import PATIENCE_S

WORKER = """
from flask import Flask
from prometheus_client import CollectorRegistry
from app.web.ops import request_metrics
app = Flask("worker")
request_metrics.register(app)
app.add_url_rule("/", "start", lambda: "")
assert app.test_client().get("/").status_code == 200
registry = CollectorRegistry()
request_metrics.add_to(registry)
labels = {"endpoint": "start", "method": "GET", "status": "2xx"}
print(registry.get_sample_value("mindsum_http_request_duration_seconds_count", labels))
"""


def count_in_worker(folder: Path | None) -> float:
    """Run a process that answers one request; how many requests its scrape counts."""
    environment = {name: value for name, value in os.environ.items() if name != FOLDER_VARIABLE}
    if folder is not None:
        environment[FOLDER_VARIABLE] = str(folder)
    run = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert run.returncode == 0, run.stderr
    return float(run.stdout)


@pytest.mark.process
def test_what_an_ended_worker_counted_stays_counted(tmp_path: Path) -> None:
    assert [count_in_worker(tmp_path) for _ in range(3)] == [1, 2, 3]


@pytest.mark.process
def test_a_process_without_a_folder_counts_for_itself() -> None:
    assert [count_in_worker(None) for _ in range(2)] == [1, 1]


def test_a_start_begins_to_count_at_nought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = make_metrics_folder(8123)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "histogram_7.db").write_bytes(b"old")
    assert make_metrics_folder(8123) == folder
    assert list(folder.iterdir()) == []


def test_a_folder_that_leads_elsewhere_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = make_metrics_folder(8124)
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        make_metrics_folder(8124)
    assert (elsewhere / "precious").exists()

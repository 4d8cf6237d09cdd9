"""How the workers of a server count their requests together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, Counter, generate_latest

from app import serve
from app.serve import make_metrics_folder
from app.web.ops import request_metrics
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


FULL_DISK = """
import errno, os
def posix_fallocate(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
os.posix_fallocate = posix_fallocate
"""


def count_in_worker(folder: Path | None, first: str = "") -> str:
    """Run a process that answers one request; how many requests its scrape counts."""
    environment = {name: value for name, value in os.environ.items() if name != FOLDER_VARIABLE}
    if folder is not None:
        environment[FOLDER_VARIABLE] = str(folder)
    run = subprocess.run(
        [sys.executable, "-c", first + WORKER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


@pytest.mark.process
def test_what_an_ended_worker_counted_stays_counted(tmp_path: Path) -> None:
    assert [count_in_worker(tmp_path) for _ in range(3)] == ["1.0", "2.0", "3.0"]


@pytest.mark.process
def test_a_process_without_a_folder_counts_for_itself() -> None:
    assert [count_in_worker(None) for _ in range(2)] == ["1.0", "1.0"]


@pytest.mark.process
def test_a_worker_answers_uncounted_where_the_disk_has_no_room(tmp_path: Path) -> None:
    assert count_in_worker(tmp_path, FULL_DISK) == "None"
    assert count_in_worker(tmp_path) == "1.0"


@pytest.mark.process
def test_a_worker_takes_the_room_for_its_counts_before_it_counts(tmp_path: Path) -> None:
    count_in_worker(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [file.name.partition("_")[0] for file in files] == ["counter", "histogram"]
    for file in files:
        assert file.stat().st_blocks * 512 >= file.stat().st_size >= 2**16


@pytest.mark.process
def test_an_empty_file_of_a_worker_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "histogram_99999.db").touch()
    assert count_in_worker(tmp_path) == "1.0"


def test_other_metrics_are_served_beside_a_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "histogram_99999.db").write_bytes(b"\xff" * 100)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    registry = CollectorRegistry()
    request_metrics.add_to(registry)
    Counter("others", "Another metric", registry=registry).inc()
    assert "others_total 1.0" in generate_latest(registry).decode()


def test_a_request_that_cannot_be_counted_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("worker")
    app.add_url_rule("/", "start", lambda: "")
    request_metrics.register(app)
    # It has no `labels`.
    monkeypatch.setattr(request_metrics, "_durations", None)
    assert app.test_client().get("/").status_code == 200


@pytest.mark.parametrize(("shared_memory", "parent"), [("memory", "memory"), ("none", "disk")])
def test_counts_are_kept_in_shared_memory_where_there_is_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_memory: str, parent: str
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(serve, "SHARED_MEMORY", str(tmp_path / shared_memory))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "disk"))
    assert make_metrics_folder("127.0.0.1", 8125).parent == tmp_path / parent


def test_a_start_counts_from_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SHARED_MEMORY", str(tmp_path))
    folder = make_metrics_folder("127.0.0.1", 8123)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "histogram_7.db").write_bytes(b"old")
    assert make_metrics_folder("127.0.0.1", 8123) == folder
    assert list(folder.iterdir()) == []


def test_a_folder_that_leads_elsewhere_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "SHARED_MEMORY", str(tmp_path))
    folder = make_metrics_folder("127.0.0.1", 8124)
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        make_metrics_folder("127.0.0.1", 8124)
    assert (elsewhere / "precious").exists()

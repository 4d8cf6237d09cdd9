"""How the workers of a server count together how long requests took."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.serve import figures_folder
from app.web.ops.request_metrics import FILE_BYTES, FOLDER

MANY_KINDS = """
from flask import Flask
from app.web.ops import request_metrics as durations
app = Flask("many")
durations.register(app)
for each in range(1000):
    app.add_url_rule(f"/{each}", f"kind.number_{each}", lambda: "")
asker = app.test_client()
assert {asker.get(f"/{each}").status_code for each in range(1000)} == {200}
(told,) = durations.Durations().collect()
print(sum(each.name.endswith("_count") and each.value == 1 for each in told.samples))
"""


@pytest.mark.process
def test_a_file_never_grows_beyond_its_blocks_however_many_kinds_there_are(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MANY_KINDS],
        env={**os.environ, FOLDER: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert 200 < int(run.stdout) < 1000
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == FILE_BYTES


def test_what_an_earlier_start_left_is_wiped(tmp_path: Path) -> None:
    folder = figures_folder(tmp_path, 8123)
    (folder / "histogram_7.db").write_bytes(b"old")
    held = opened(folder)
    os.close(held)
    assert figures_folder(tmp_path, 8123) == folder
    assert list(folder.iterdir()) == []
    os.close(opened(folder))


def opened(folder: Path) -> int:
    """The descriptor by which this process holds the folder."""
    (held,) = (
        int(each.name)
        for each in Path("/proc/self/fd").iterdir()
        if each.is_symlink() and each.readlink() == folder
    )
    return held


def test_the_figures_of_a_server_that_still_runs_are_left_alone(tmp_path: Path) -> None:
    folder = figures_folder(tmp_path, 8124)
    (folder / "histogram_7.db").write_bytes(b"in use")
    second = figures_folder(tmp_path, 8124)
    assert second != folder
    assert [each.name for each in folder.iterdir()] == ["histogram_7.db"]
    assert os.get_inheritable(opened(folder))
    os.close(opened(folder))


def test_a_folder_that_somebody_else_could_have_laid_out_is_not_used(tmp_path: Path) -> None:
    folder = figures_folder(tmp_path, 8125)
    os.close(opened(folder))
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder.symlink_to(elsewhere)
    assert figures_folder(tmp_path, 8125) not in (folder, elsewhere)
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert figures_folder(tmp_path, 8125) != folder
    assert (elsewhere / "precious").exists()
    with (elsewhere / "precious").open() as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)

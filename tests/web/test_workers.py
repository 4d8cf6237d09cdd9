"""One scrape tells of all workers of a server, however often one of them dies."""

import fcntl
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.serve import figures_folder
from tests.smtp_server import MailServer
from tests.town import Town, until

ASKED = 40


@pytest.fixture
def town(database_url: str, tmp_path: Path, mail: MailServer) -> Town:
    built = Town(database_url, tmp_path, mail)
    built.environment |= {"WEB_CONCURRENCY": "2", "TMPDIR": str(tmp_path)}
    return built


def counted(town: Town) -> float:
    """How many times the start page was asked for, by one scrape."""
    status, text = town.call("GET", "/metrics")
    assert status == 200
    found = re.search(
        r'duration_seconds_count\{endpoint="directory.find",method="GET",status="2xx"\} (\S+)', text
    )
    return float(found[1]) if found else 0.0


def workers_of(pid: int) -> set[int]:
    """The processes that a server has started and that are its workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        int(child)
        for child in children
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
    }


@contextmanager
def served(town: Town) -> Iterator[int]:
    """A web process, as the Procfile starts it; its process id."""
    with town.process("-m", "app.serve") as web:
        until(lambda: answers(town))
        yield web.pid


def answers(town: Town) -> bool:
    try:
        return town.call("GET", "/healthz")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_scrape_tells_of_all_workers_also_of_those_that_died(town: Town) -> None:
    with served(town) as pid:
        (folder,) = town.folder.glob("mindsum-figures-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        for _ in range(ASKED):
            assert town.call("GET", "/")[0] == 200
        assert {counted(town) for _ in range(10)} == {ASKED}
        before = workers_of(pid)
        os.kill(before.pop(), signal.SIGKILL)
        until(lambda: len(workers_of(pid) - before) == 1)
        until(lambda: answers(town))
        assert counted(town) == ASKED
        for _ in range(ASKED):
            until(lambda: asked(town))
        assert {counted(town) for _ in range(10)} == {2 * ASKED}
    with served(town):
        assert counted(town) == 0
        assert list(town.folder.glob("mindsum-figures-*")) == [folder]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_that_is_stopped_while_its_workers_begin_ends_all_the_same(town: Town) -> None:
    with town.process("-m", "app.serve") as web:
        until(lambda: workers_of(web.pid))
    assert web.returncode is not None


def asked(town: Town) -> bool:
    try:
        return town.call("GET", "/")[0] == 200
    except OSError:
        return False


@pytest.fixture
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.usefixtures("_own_folder")
def test_what_an_earlier_start_left_is_wiped() -> None:
    folder = figures_folder(8123)
    (folder / "histogram_7.db").write_bytes(b"old")
    held = opened(folder)
    os.close(held)
    assert figures_folder(8123) == folder
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


@pytest.mark.usefixtures("_own_folder")
def test_the_figures_of_a_server_that_still_runs_are_left_alone() -> None:
    folder = figures_folder(8124)
    (folder / "histogram_7.db").write_bytes(b"in use")
    second = figures_folder(8124)
    assert second != folder
    assert [each.name for each in folder.iterdir()] == ["histogram_7.db"]
    assert os.get_inheritable(opened(folder))
    os.close(opened(folder))


@pytest.mark.usefixtures("_own_folder")
def test_a_folder_that_somebody_else_could_have_laid_out_is_not_used(tmp_path: Path) -> None:
    folder = figures_folder(8125)
    os.close(opened(folder))
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder.symlink_to(elsewhere)
    assert figures_folder(8125) not in (folder, elsewhere)
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert figures_folder(8125) != folder
    assert (elsewhere / "precious").exists()
    with (elsewhere / "precious").open() as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)

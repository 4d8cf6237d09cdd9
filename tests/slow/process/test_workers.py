"""One scrape tells of all workers of a server, however often one of them dies."""

import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import serve
from app.serve import places
from app.web.ops.request_metrics import FILE_BYTES
from tests.harness.processes import Town, until
from tests.harness.random_kill import children_of, told
from tests.harness.smtp_server import MailServer

ASKED = 40


@pytest.fixture
def town(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Town]:
    built = Town(database_url, tmp_path, mail)
    built.environment |= {"WEB_CONCURRENCY": "2", "TMPDIR": str(tmp_path)}
    yield built
    shutil.rmtree(figures_of(built), ignore_errors=True)


def figures_of(town: Town) -> Path:
    """The folder in which the workers of a town's server count together."""
    return next(places()) / f"mindsum-figures-{os.getuid()}-{town.port}"


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
    return {each for each in children_of(pid) if "resource_tracker" not in told(each, "cmdline")}


@contextmanager
def served(town: Town) -> Iterator[int]:
    """A web process, as the Procfile starts it, both of its workers at work; its process id."""
    with town.process("-m", "app.serve") as web:
        until(lambda: answers(town) and begun(town) == 2)
        yield web.pid


def begun(town: Town) -> int:
    """How many workers have begun to count, those that died included."""
    return len(list(figures_of(town).glob("*.db")))


def answers(town: Town) -> bool:
    try:
        return town.call("GET", "/healthz")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_scrape_tells_of_all_workers_also_of_those_that_died(town: Town) -> None:
    with served(town) as pid:
        folder = figures_of(town)
        assert folder.stat().st_mode & 0o777 == 0o700
        for _ in range(ASKED):
            assert town.call("GET", "/")[0] == 200
        assert {counted(town) for _ in range(10)} == {ASKED}
        before = workers_of(pid)
        os.kill(next(iter(before)), signal.SIGKILL)
        until(lambda: len(workers_of(pid) - before) == 1)
        until(lambda: begun(town) == 3)
        assert counted(town) == ASKED
        for _ in range(ASKED):
            until(lambda: asked(town))
        assert {counted(town) for _ in range(10)} == {2 * ASKED}
    with served(town):
        assert counted(town) == 0
        assert list(town.folder.glob("mindsum-figures-*")) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_has_all_blocks_of_its_file_and_a_dead_one_only_what_it_used(town: Town) -> None:
    with served(town) as pid:
        files = {each: figures_of(town) / f"histogram_{each}.db" for each in workers_of(pid)}
        until(lambda: all(each.exists() for each in files.values()))
        until(lambda: all(each.stat().st_blocks * 512 >= FILE_BYTES for each in files.values()))
        dead = next(iter(files))
        os.kill(dead, signal.SIGKILL)
        until(lambda: 0 < files[dead].stat().st_size < FILE_BYTES // 8)
        until(lambda: begun(town) == 3)
        assert counted(town) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_whose_files_are_taken_away_answer_and_those_that_follow_them_too(
    town: Town,
) -> None:
    with served(town) as pid:
        shutil.rmtree(figures_of(town))
        assert {town.call("GET", "/")[0] for _ in range(ASKED)} == {200}
        # Each worker tells of its own requests now, and one of them may have had none.
        assert until(lambda: counted(town)) <= ASKED
        before = workers_of(pid)
        for each in before:
            os.kill(each, signal.SIGKILL)
        until(lambda: len(workers_of(pid) - before) == 2)
        until(lambda: answers(town))
        until(lambda: asked(town) and counted(town) > 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("room_bytes", [32 * 1024, FILE_BYTES - 1])
def test_a_worker_that_gets_no_blocks_counts_for_itself_and_answers(
    town: Town, room_bytes: int
) -> None:
    town.environment["WEB_CONCURRENCY"] = "1"
    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room_bytes},) * 2);"
        "from app.serve import main; main()"
    )
    with town.process("-c", limited, "web") as web:
        until(lambda: answers(town))
        (worker,) = workers_of(web.pid)
        assert {town.call("GET", "/")[0] for _ in range(ASKED)} == {200}
        assert counted(town) == ASKED
        assert list(figures_of(town).iterdir()) == []
        assert workers_of(web.pid) == {worker}


def test_a_port_where_somebody_goes_on_listening_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "PORT_FREE_WITHIN_S", 0.5)
    with socket.create_server((serve.HOST, 0)) as somebody:
        port = somebody.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit) as ended:
            serve.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == (
        "",
        f"web: PORT should be a free port, not {port} (address already in use)\n",
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_that_was_killed_can_be_started_again_at_once(town: Town) -> None:
    with served(town) as pid:
        os.kill(pid, signal.SIGKILL)
        with town.process("-m", "app.serve") as successor:
            until(lambda: len(workers_of(successor.pid)) == 2 and answers(town))


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

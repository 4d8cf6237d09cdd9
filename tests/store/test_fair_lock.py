"""Each waiter for the write lock gets a turn; within a process, the first to come goes first."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.errors import StoreUnavailable
from app.store.db import fair_lock
from app.store.db.fair_lock import FairLock, _Queue
from tests.harness.processes import ROOT
from tests.harness.waiting import PATIENCE_S, until

ADDS_ONE = """
import sys
from pathlib import Path
from app.store.db.fair_lock import FairLock
path, counted, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
lock = FairLock()
for _ in range(times):
    with lock.held(path, 60):
        counted.write_text(str(int(counted.read_text()) + 1))
"""


def adding(path: Path, counted: Path, times: int) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-c", ADDS_ONE, str(path), str(counted), str(times)]
    return subprocess.Popen(arguments, cwd=ROOT)


def test_threads_get_their_turn_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    queue, order = _Queue(), []
    assert queue.enter(PATIENCE_S)

    def take(number: int) -> None:
        assert queue.enter(PATIENCE_S)
        order.append(number)
        queue.leave()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(12)]
    for number, thread in enumerate(threads):
        thread.start()
        until("the thread to wait", lambda: len(queue._waiting), lambda n, to=number + 1: n == to)
    queue.leave()
    for thread in threads:
        thread.join()
    assert order == [*range(12)]


def test_a_thread_that_gave_up_is_passed_over() -> None:
    queue = _Queue()
    assert queue.enter(0)
    assert not queue.enter(0.01)
    queue.leave()
    assert queue.enter(0)


def test_processes_exclude_each_other(tmp_path: Path) -> None:
    path, counted = tmp_path / "lock", tmp_path / "counted"
    counted.write_text("0")
    for each in [adding(path, counted, 100) for _ in range(3)]:
        assert each.wait(PATIENCE_S) == 0
    assert counted.read_text() == "300"


def test_who_has_just_let_go_does_not_overtake_a_process_that_waits(tmp_path: Path) -> None:
    path, counted = tmp_path / "lock", tmp_path / "counted"
    counted.write_text("0")
    lock = FairLock()
    with lock.held(path, 0):
        other = adding(path, counted, 1)

        def is_awaited() -> bool:
            is_free = fair_lock._try_lock(lock._file, fair_lock._NEXT, path)
            fair_lock._unlock(lock._file, fair_lock._NEXT)
            return not is_free

        until("the other process to wait", is_awaited, bool)
    with lock.held(path, PATIENCE_S):
        assert counted.read_text() == "1"
    assert other.wait(PATIENCE_S) == 0


def test_a_process_that_is_killed_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        with FairLock().held(path, PATIENCE_S):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with FairLock().held(path, 0):
        pass


def test_a_lock_whose_file_was_removed_is_the_one_that_others_see(tmp_path: Path) -> None:
    path, lock = tmp_path / "lock", FairLock()
    with lock.held(path, 0):
        pass
    path.unlink()
    with lock.held(path, 0):
        assert path.exists()


def test_a_lock_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    lock = FairLock()
    with pytest.raises(StoreUnavailable, match="cannot be opened"), lock.held(tmp_path / "lock", 0):
        pass
    (tmp_path / "lock").rmdir()
    with lock.held(tmp_path / "lock", 0):
        pass

"""Callers who wait at the same time share one reading, and none gets an older one."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from app.store.db import shared_read
from app.store.db.shared_read import SharedRead
from tests.harness.waiting import PATIENCE_S, until


class Turn:
    """A lock that counts who asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = count(1)
        self.asked = 0

    def acquire(self, timeout: float) -> bool:
        self.asked = next(self._asked)
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()


class Slow:
    """Counts its readings; the first one goes on until it may end, and then may fail."""

    def __init__(self) -> None:
        self.shared = SharedRead(self.read)
        self.turn = self.shared._lock = Turn()  # type: ignore[assignment]
        self.begun, self.found = 0, list[int]()
        self.may_end, self.fails = threading.Event(), False
        self.callers: list[threading.Thread] = []

    def read(self) -> int:
        self.begun += 1
        number = self.begun
        if number == 1:
            assert self.may_end.wait(PATIENCE_S)
            if self.fails:
                raise OSError
        return number

    def _get(self) -> None:
        try:
            self.found.append(self.shared.get())
        except OSError:
            self.found.append(-1)

    def call(self) -> None:
        before = self.turn.asked
        self.callers.append(threading.Thread(target=self._get))
        self.callers[-1].start()
        until("the caller", lambda: self.turn.asked > before)

    def end(self) -> list[int]:
        self.may_end.set()
        for each in self.callers:
            each.join()
        return sorted(self.found)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setattr(shared_read, "_WAIT_S", PATIENCE_S)
    slow = Slow()
    slow.call()
    until("the first reading", lambda: slow.begun == 1)
    yield slow
    slow.end()


def test_callers_during_a_read_share_the_next_one(slow: Slow) -> None:
    for _ in range(3):
        slow.call()
    assert slow.end() == [1, 2, 2, 2]


def test_each_call_after_a_read_reads_again(slow: Slow) -> None:
    slow.end()
    assert [slow.shared.get() for _ in range(2)] == [2, 3]


def test_a_failed_read_fails_only_its_own_caller(slow: Slow) -> None:
    slow.fails = True
    for _ in range(2):
        slow.call()
    assert slow.end() == [-1, 2, 2]


def test_a_caller_that_waited_too_long_reads_by_itself(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_read, "_WAIT_S", 0)
    assert [slow.shared.get() for _ in range(2)] == [2, 3]
    assert slow.end() == [1]

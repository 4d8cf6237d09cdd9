"""Waking schedulers after a commit: at once where possible, and never at the cost of the commit."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.store import wakeups
from app.store.db import database
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.story import Story

pytestmark = pytest.mark.both_databases


@pytest.fixture(autouse=True)
def _each_ring_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_rung_s", float("-inf"))


@contextmanager
def listener() -> Iterator[threading.Semaphore]:
    """Someone who listens; the semaphore counts what was heard."""
    is_over, heard = threading.Event(), threading.Semaphore(0)

    def listen() -> None:
        for _ in wakeups.heard(is_over.is_set):
            heard.release()

    thread, others = threading.Thread(target=listen), listeners()
    thread.start()
    try:
        until("a listener", listeners, lambda count: count > others)
        yield heard
    finally:
        is_over.set()
        thread.join(PATIENCE_S)


def listeners() -> int:
    if database.is_sqlite():
        path: Path = database.db.obj.path
        return len(list(path.parent.glob(f"{path.name}.wake-*")))
    with database.connection():
        sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE query = 'LISTEN mindsum_outbox'"
        (count,) = database.db.execute_sql(sql).fetchone()
        return int(count)


def test_everybody_who_listens_hears_of_emails_once_they_are_committed(story: Story) -> None:
    with listener() as first, listener() as second:
        story.ask()
        assert first.acquire(timeout=PATIENCE_S)
        assert second.acquire(timeout=PATIENCE_S)


def test_what_is_rolled_back_wakes_nobody(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []
    monkeypatch.setattr(wakeups, "ring", lambda: rung.append(1))

    @database.in_transaction
    def ask_and_fail() -> None:
        story.ask()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        ask_and_fail()
    assert rung == []


def test_many_rings_are_one_and_the_last_is_heard_of_all_the_same(
    monkeypatch: pytest.MonkeyPatch, story: Story
) -> None:
    monkeypatch.setattr(wakeups, "RING_EVERY_S", 0.2)
    with listener() as heard, database.connection():
        story.ask()
        for _ in range(100):
            wakeups.ring()
        # At once, and again for those that were not passed on.
        assert heard.acquire(timeout=PATIENCE_S)
        assert heard.acquire(timeout=PATIENCE_S)
        assert not heard.acquire(blocking=False)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_socket_whose_process_was_killed_is_taken_away(story: Story) -> None:
    path: Path = database.db.obj.path
    left = path.with_name(f"{path.name}.wake-0")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as killed:
        killed.bind(str(left))
    story.ask()
    assert not left.exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_listener_that_does_not_read_holds_up_no_commit(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "RING_EVERY_S", 0)
    path: Path = database.db.obj.path
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as deaf:
        deaf.bind(str(path.with_name(f"{path.name}.wake-0")))
        for _ in range(1000):
            wakeups.ring()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_through_a_pooler_nobody_listens(monkeypatch: pytest.MonkeyPatch, story: Story) -> None:
    class Pooled:
        """As PgBouncer, it tells another number than the server's."""

        backend_pid = -1

    server: Any = database.db.obj
    monkeypatch.setattr("app.store.db.postgresql.Connection.info", Pooled)
    with server.listening("mindsum_outbox") as heard:
        assert heard is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_path_that_is_too_long_for_a_socket_leaves_polling(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends_at_second_look() -> Callable[[], bool]:
        looks = iter([False, False])
        return lambda: next(looks, True)

    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    os.link(database.db.obj.path, deep / "one.db")
    monkeypatch.setattr(wakeups, "_RETRY_S", 0)
    with database.using_file(deep / "one.db"):
        assert list(wakeups.heard(ends_at_second_look())) == []
        wakeups.ring()

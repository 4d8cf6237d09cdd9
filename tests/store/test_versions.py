"""A version of the database stays while nothing is committed, and every commit makes another."""

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from app.store.db import database
from app.store.db.database import in_transaction
from tests.scenarios.cast import Cast, rename

pytestmark = pytest.mark.both_databases

T = TypeVar("T")


def in_another_thread(act: Callable[[], T]) -> T:
    found: list[T] = []

    def run() -> None:
        with database.connection():
            found.append(act())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_it_stays_while_nothing_is_committed(cast: Cast) -> None:
    in_another_thread(database.version)
    first = database.version()
    assert [database.version() for _ in range(3)] == [first] * 3


def test_all_threads_see_the_same(cast: Cast) -> None:
    in_transaction(rename)("own")
    assert database.version() == in_another_thread(database.version)


def test_a_commit_of_this_thread_or_another_makes_another(cast: Cast) -> None:
    seen = [database.version()]
    in_transaction(rename)("own")
    seen.append(database.version())
    in_another_thread(lambda: in_transaction(rename)("other"))
    seen.append(database.version())
    assert len(set(seen)) == 3


def test_no_version_comes_again_for_a_thread_that_looked_before_the_commit(cast: Cast) -> None:
    first = database.version()
    in_another_thread(lambda: in_transaction(rename)("other"))
    in_another_thread(database.version)
    assert database.version() != first

"""Threads that work for the event loop."""

import asyncio
import threading
import weakref
from collections.abc import Iterator

import pytest

from app.web.threads import Threads
from tests.harness.waiting import PATIENCE_S, until


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(2)
    yield threads
    threads.close()


def test_what_a_thread_returns_or_raises_reaches_the_loop(threads: Threads) -> None:
    assert asyncio.run(threads.run(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(divmod, 7, 0))


def test_as_many_work_at_once_as_there_are_threads(threads: Threads) -> None:
    both = threading.Barrier(2)

    async def meet() -> None:
        await asyncio.gather(*(threads.run(both.wait, PATIENCE_S) for _ in range(2)))

    asyncio.run(meet())


def test_a_thread_goes_on_after_work_that_nothing_waits_for_any_more(threads: Threads) -> None:
    may_end = threading.Event()

    async def leave() -> None:
        left = [asyncio.ensure_future(threads.run(may_end.wait, PATIENCE_S)) for _ in range(2)]
        await asyncio.sleep(0)
        for each in left:
            each.cancel()
        may_end.set()
        assert await threads.run(sum, (1, 2)) == 3

    asyncio.run(leave())


def test_a_thread_with_nothing_to_do_keeps_no_answer(threads: Threads) -> None:
    class Answer:
        pass

    kept = weakref.ref(asyncio.run(threads.run(Answer)))
    until("the answer to be gone", lambda: kept() is None)


def test_closing_waits_for_what_was_begun() -> None:
    threads, done = Threads(1), threading.Event()

    async def begin() -> None:
        left = asyncio.ensure_future(threads.run(done.set))
        await asyncio.sleep(0)
        left.cancel()

    asyncio.run(begin())
    threads.close()
    assert done.is_set()

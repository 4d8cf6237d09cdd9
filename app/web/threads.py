"""Threads that work for the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Task(NamedTuple):
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"
    act: Callable[..., Any]
    arguments: tuple[Any, ...]


class Threads:
    # An executor of the standard library takes a tenth of a page's time to hand work over.

    def __init__(self, count: int) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self, act: Callable[..., T], *arguments: Any) -> T:
        """What `act` returns or raises, in one of the threads."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._tasks.put(_Task(loop, done, act, arguments))
        return await done

    def close(self) -> None:
        """Wait until everything that was begun is done."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            _do(task)
            # Otherwise an idle thread keeps its last request and answer in memory.
            del task


def _do(task: _Task) -> None:
    result, failure = None, None
    try:
        result = task.act(*task.arguments)
    except BaseException as error:
        failure = error
    # The loop is closed where the server has stopped.
    with suppress(RuntimeError):
        task.loop.call_soon_threadsafe(_settle, task.done, result, failure)


def _settle(done: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if done.cancelled():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)

"""Threads for blocking calls. The end of the program does not wait for a call that still blocks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 64
"""A DNS look-up can block for 30 s, and calls to the disk must not wait for it."""


class DaemonThreads(ThreadPoolExecutor):
    """An executor for an event loop whose threads are daemons: they end with the process.

    asyncio.run and the interpreter wait for all threads of a ThreadPoolExecutor: for 30 s if the DNS is silent, for
    ever if a disk hangs. Docker kills a process 10 s after it has asked it to stop.
    """

    def __init__(self) -> None:
        super().__init__(_MOST)  # starts no thread; asyncio requires this class
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._started = 0
        self._free = 0
        self._is_shut = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call the function in a thread. Raises RuntimeError after `shutdown`."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._guard:
            if self._is_shut:
                raise RuntimeError("the executor was shut down")
            self._calls.put(call)
            if self._free > 0:
                self._free -= 1
            elif self._started < _MOST:
                self._started += 1
                threading.Thread(target=self._work, name="blocking call", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse further calls. Returns at once, whatever `wait` says; accepted calls go on."""
        with self._guard:
            self._is_shut = True
            for _ in range(self._started):
                self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # frees what the call refers to
            with self._guard:
                self._free += 1

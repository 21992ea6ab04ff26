"""Ends tasks within a given time, whatever they wait for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)

_REPEAT_SECONDS = 0.25
"""Seconds after which a cancelled task is cancelled again: after the first time, psycopg waits for the server."""


async def cancel(*tasks: asyncio.Future[Any], seconds: float) -> None:
    """Cancel the tasks and wait until they have ended, at most `seconds`. Their errors count as retrieved."""
    end = time.monotonic() + seconds
    running: set[asyncio.Future[Any]] = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        left = max(end - time.monotonic(), 0)
        _, running = await asyncio.wait(running, timeout=min(_REPEAT_SECONDS, left))
        if not left:
            break
    for task in tasks:
        if not task.done():
            work = task.get_coro() if isinstance(task, asyncio.Task) else task
            log.warning(
                "the stop does not wait longer for %s", getattr(work, "__qualname__", "a future")
            )
        elif not task.cancelled():
            task.exception()


async def finish_within(seconds: float, work: Coroutine[Any, Any, Any], name: str) -> None:
    """Wait for the work at most `seconds`, then cancel it. Its error is logged under the name."""
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    await cancel(task, seconds=0)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", name, exc_info=error)


async def first_end(stop: asyncio.Task[Any], *tasks: asyncio.Task[None]) -> None:
    """Wait until `stop` ends, or a task fails. Raises the task's error."""
    running: set[asyncio.Task[Any]] = {stop, *tasks}
    while stop in running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

"""Lets live events go before a backfill: it waits while their acks are slow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tiger_slack_tui.base.live_limits import LIVE_LIMIT, RESUME_BELOW
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.instances import slow_instance

log = logging.getLogger(__name__)

_PAUSE = 2.0
"""Seconds between two looks at the instances, whose heartbeats are written every 5 s."""
_LONGEST = 60.0
"""Seconds. A page a minute is no load, and a backfill ends also if live events are slow for days."""


class LiveEvents:
    """Knows from the heartbeats of all instances whether live events are slow."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_wait: Callable[[str], Awaitable[None]],
        limit: float = LIVE_LIMIT,
        pause: float = _PAUSE,
        longest: float = _LONGEST,
    ) -> None:
        """`on_wait` is told, in words, for what it waits. The times are in seconds."""
        self._connection = connection
        self._on_wait = on_wait
        self._limit = limit
        self._pause = pause
        self._longest = longest

    async def wait(self) -> None:
        """Wait until live events are quick, at most `longest` seconds. Raises psycopg.Error."""
        slow = await slow_instance(self._connection, self._limit)
        if slow is None:
            return
        log.info("the backfill waits for live events", extra={"instance": slow})
        await self._on_wait(f"waits for live events of {slow}")
        end = time.monotonic() + self._longest
        while time.monotonic() < end:
            if await slow_instance(self._connection, self._limit * RESUME_BELOW) is None:
                return
            await asyncio.sleep(self._pause)

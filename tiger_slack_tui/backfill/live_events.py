"""Lets live events go before a backfill: it waits while their acks are slow."""

from __future__ import annotations

import asyncio
import logging

from tiger_slack_tui.base.live_limits import LIVE_LIMIT, RESUME_BELOW
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.instances import slow_instance

log = logging.getLogger(__name__)

_PAUSE = 2.0
"""Seconds between two looks at the instances, whose heartbeats are written every 5 s."""


class LiveEvents:
    """Knows from the heartbeats of all instances whether live events are slow."""

    def __init__(
        self, connection: Connection, *, limit: float = LIVE_LIMIT, pause: float = _PAUSE
    ) -> None:
        self._connection = connection
        self._limit = limit
        self._pause = pause

    async def wait(self) -> None:
        """Wait until live events are quick. Raises psycopg.Error."""
        slow = await slow_instance(self._connection, self._limit)
        if slow is None:
            return
        log.info("the backfill waits for live events", extra={"instance": slow})
        while await slow_instance(self._connection, self._limit * RESUME_BELOW) is not None:
            await asyncio.sleep(self._pause)

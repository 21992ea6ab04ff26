"""Follows the audit trail: shows events as they are written."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.audit_events import (
    EventFilter,
    EventRow,
    newest_event_id,
    read_written,
)

_SETTLED = 10.0
"""Seconds after which an id that was given out is committed, or never will be."""
_PAGE = 500


async def follow(
    connection: Connection, wanted: EventFilter, *, pause: float = 1.0
) -> AsyncIterator[tuple[EventRow, ...]]:
    """The events that are written from now on, in the order of writing, however late they are. Never ends.

    Yields every `pause` seconds: the new events, or an empty tuple where there are none.
    """
    # Transactions do not commit in the order of their ids. So each query looks back for a while, and leaves out
    # what was shown already.
    low = await newest_event_id(connection)
    newest = deque([(time.monotonic(), low)])
    seen: set[int] = set()
    while True:
        last = await newest_event_id(connection)
        rows = await read_written(connection, wanted, after_id=low, without=seen, most=_PAGE)
        yield tuple(rows)
        seen.update(row.id for row in rows)
        if len(rows) == _PAGE:
            continue
        newest.append((time.monotonic(), last))
        while newest[0][0] < time.monotonic() - _SETTLED:
            low = newest.popleft()[1]
        seen = {id_ for id_ in seen if id_ > low}
        await asyncio.sleep(pause)

"""Follows the audit trail: shows events as they are written."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.audit_events import (
    EventFilter,
    EventRow,
    fetch_page,
    fetch_written,
    newest_event_id,
)

_SETTLED = 10.0
"""Seconds after which an id that was given out is committed, or never will be."""
_PAGE = 500


@dataclass(slots=True)
class FollowPosition:
    """How far a trail was followed. With it, another connection goes on where the last one was lost."""

    low: int | None = None
    """The greatest id of which all smaller ones are settled; None before the first look."""
    newest: deque[tuple[float, int]] = field(default_factory=deque)
    """The newest id at each of the last looks."""
    seen: set[int] = field(default_factory=set)
    """Greater ids than `low` that were shown."""


async def begin_following(
    connection: Connection, wanted: EventFilter, *, most: int
) -> tuple[tuple[EventRow, ...], FollowPosition]:
    """The newest events, the oldest first, and the position after them: `follow` shows all that come later."""
    low = await newest_event_id(connection)
    page = await fetch_page(connection, wanted, most=most)
    seen = {row.id for row in page.rows if row.id > low}
    return page.rows[::-1], FollowPosition(low, deque([(time.monotonic(), low)]), seen)


async def follow(
    connection: Connection,
    wanted: EventFilter,
    *,
    pause: float = 1.0,
    position: FollowPosition | None = None,
) -> AsyncIterator[tuple[EventRow, ...]]:
    """The events that are written from now on, in the order of writing, however late they are. Never ends.

    Yields every `pause` seconds: the new events, or an empty tuple if there are none. Goes on from `position`, and
    updates it.
    """
    # Transactions do not commit in the order of their ids. So each query looks back for a while, and leaves out
    # what was shown already.
    at = position or FollowPosition()
    if at.low is None:
        at.low = await newest_event_id(connection)
        at.newest.append((time.monotonic(), at.low))
    while True:
        last = await newest_event_id(connection)
        rows = await fetch_written(connection, wanted, after_id=at.low, without=at.seen, most=_PAGE)
        yield tuple(rows)
        at.seen.update(row.id for row in rows)
        if len(rows) == _PAGE:
            continue
        at.newest.append((time.monotonic(), last))
        while at.newest[0][0] < time.monotonic() - _SETTLED:
            at.low = at.newest.popleft()[1]
        at.seen = {id_ for id_ in at.seen if id_ > at.low}
        await asyncio.sleep(pause)

"""How many events were written lately, by second, type and outcome: the rates of all instances together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection

_AGAIN = 10
"""Newest seconds that are counted again each time: transactions commit in another order than events came."""
_FIRST: LiteralString = """
select extract(epoch from date_trunc('second', e.received_at))::int8, coalesce(e.type, 'none'), e.outcome, count(*)
from slack.event e
where e.event_ts > now() - make_interval(secs => %(seconds)s)
group by 1, 2, 3
"""
# By the order of writing, so that a long trail costs nothing.
_NEXT: LiteralString = """
select extract(epoch from date_trunc('second', e.received_at))::int8, coalesce(e.type, 'none'), e.outcome, count(*)
from slack.event e
where e.id > %(after)s
and e.received_at >= to_timestamp(%(since)s)
group by 1, 2, 3
"""
_LAST: LiteralString = """
select coalesce(pg_sequence_last_value(pg_get_serial_sequence('slack.event', 'id')::regclass), 0)::int8
, extract(epoch from now())::int8
"""

Counts = dict[tuple[int, str, str], int]
"""Events by (second since 1970, type, outcome)."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Events that were received from the second `since` on; `now` is the database's clock."""

    now: int
    since: int
    counts: Counts


class ArrivalReader:
    """Reads what was written since it last read; the first time, what happened in the last `seconds`."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._lasts: deque[tuple[int, int]] = deque()
        """(second, last id at that time), from about `_AGAIN` seconds ago on."""

    async def read(self, connection: Connection) -> Arrivals:
        """The counts of the newest seconds, whole: they replace what was read of these before."""
        row = await (await connection.execute(_LAST)).fetchone()
        last, now = row or (0, 0)
        while len(self._lasts) > 1 and self._lasts[1][0] <= now - _AGAIN:
            self._lasts.popleft()
        if self._lasts:
            since, after = max(self._lasts[0][0], now - _AGAIN), self._lasts[0][1]
            cursor = await connection.execute(_NEXT, {"after": after, "since": since})
        else:
            since = now - self._seconds
            cursor = await connection.execute(_FIRST, {"seconds": self._seconds})
        self._lasts.append((now, last))
        counts = {(second, type_, outcome): n async for second, type_, outcome, n in cursor}
        return Arrivals(now, since, counts)

"""Counts recent events of all instances by second, type and outcome."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import LiteralString

from tiger_slack_tui.postgres.connection import Connection

_AGAIN = 10
"""Seconds that each read counts again, because transactions do not commit in the order in which events arrived."""
_FIRST: LiteralString = """
select extract(epoch from date_trunc('second', e.received_at))::int8, coalesce(e.type, 'none'), e.outcome, count(*)
from slack.event e
where e.event_ts > now() - make_interval(secs => %(seconds)s)
group by 1, 2, 3
"""
# Selects by id, so that the cost does not grow with the table.
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

# An index scan of the primary key, which begins with event_ts.
_COUNTS: LiteralString = """
select floor(extract(epoch from e.event_ts) / %(seconds)s)::int8, count(*)
from slack.event e
where e.event_ts >= to_timestamp(%(begin)s)
and e.event_ts < to_timestamp(%(end)s)
group by 1
"""

Counts = dict[tuple[int, str, str], int]
"""Events by (second since 1970, type, outcome)."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Events received since the second `since`. `now` is the time by the database's clock."""

    now: int
    since: int
    counts: Counts


async def count_events(
    connection: Connection, begin: int, end: int, seconds: int
) -> dict[int, int]:
    """How many events happened in each `seconds` long part of the time from `begin` to before `end`.

    Times are seconds since 1970. The key is the number of the part since 1970; parts without events are missing.
    Takes time in proportion to the events. Raises psycopg.Error.
    """
    values = {"begin": begin, "end": end, "seconds": seconds}
    return dict(await (await connection.execute(_COUNTS, values)).fetchall())


class ArrivalReader:
    """Reads the events written since the last read; at first, those that happened in the last `seconds`."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._lasts: deque[tuple[int, int]] = deque()
        """(second, greatest id at that time), for about the last `_AGAIN` seconds."""

    async def fetch(self, connection: Connection) -> Arrivals:
        """The complete counts of the newest seconds. They replace earlier counts of the same seconds."""
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

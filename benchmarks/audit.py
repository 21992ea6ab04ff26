"""Measures queries on the audit trail, and replays. The figures depend on the machine.

    python benchmarks/audit.py questions [EVENTS]   time of the commands that read 10,000,000 events
    python benchmarks/audit.py replay [EVENTS]      replayed events/s

The embedded PostgreSQL takes about 1.5 KB for each event, in a temporary directory.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from ingest import ingesting, place

from tiger_slack_tui.audit.detail import fetch_event
from tiger_slack_tui.audit.replay import replay
from tiger_slack_tui.audit.rules import add_rule
from tiger_slack_tui.audit.why import fetch_message_trail
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.audit_events import EventFilter, fetch_page
from tiger_slack_tui.store.replay import ReplaySelection
from tiger_slack_tui.store.rules import list_rules

_EVENT_BYTES = 1500  # on disk, with indexes
_TARGET_MS = 200.0

# 90 days of a workspace. A few channels and users make most of the events; UBOT posts in one channel only.
_FILL = """
insert into slack.event
( event_ts, type, subtype, event, event_id, received_at, outcome, discard_id, team_id, channel_id, user_id, message_ts
, error
)
select r.at, r.type, case when r.is_bot then 'bot_message' end
, jsonb_build_object
  ( 'type', r.type, 'channel', r.channel_id, 'user', r.user_id, 'ts', slack.to_ts(r.message_ts)
  , 'event_ts', slack.to_ts(r.at), 'text', repeat(md5(r.n::text) || ' ', 6)
  )
, 'Ev' || r.n, r.at + interval '300 ms', r.outcome, case when r.outcome = 'discarded' then 1 + r.n %% 5 end
, 'T1', r.channel_id, r.user_id, r.message_ts, case when r.outcome = 'failed' then '{"class": "Error"}'::jsonb end
from
( select k.*
  , case when k.is_bot then 'C1' else 'C' || floor(1000 * k.c ^ 3)::int end as channel_id
  , case when k.is_bot then 'UBOT' else 'U' || floor(5000 * k.u ^ 2)::int end as user_id
  , case when k.type = 'message' then k.at
      when k.type like 'reaction%%' then k.at - k.c * interval '1 day' end as message_ts
  , case
      when k.n %% 10000 = 7 then 'failed'
      when k.n %% 10000 = 8 then 'unrouted'
      when k.type = 'app_mention' then 'audit'
      when k.type = 'message' and k.o < 0.15 then 'discarded'
      else 'stored'
    end as outcome
  from
  ( select n, now() - interval '90 days' * (1 - n / %(events)s::float8) as at, n %% 20 = 3 as is_bot
    , random() as c, random() as u, random() as o
    , case
        when n %% 20 = 3 then 'message'
        when n %% 100000 = 9 then 'team_join'
        else (array['message', 'message', 'message', 'message', 'message', 'message', 'message', 'reaction_added'
          , 'reaction_removed', 'app_mention'])[1 + floor(random() * 10)::int]
      end as type
    from generate_series(%(first)s, %(last)s) n
  ) k
) r
"""
_DELIVERIES = """
insert into slack.delivery (event_id, event_ts, received_at, last_received_at, deliveries)
select e.event_id, e.event_ts, e.received_at, e.received_at, 1 from slack.event e
"""
_INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
from pg_index i
where i.indrelid in ('slack.event'::regclass, 'slack.delivery'::regclass) and not i.indisprimary
"""
_SOME = """
select e.event_id, e.channel_id, e.message_ts
from slack.event e
where e.message_ts is not null
order by random()
limit 100
"""


def questions(events: int = 10_000_000) -> None:
    with tempfile.TemporaryDirectory() as directory:
        assert shutil.disk_usage(directory).free > 2 * events * _EVENT_BYTES, (
            "the disk has too little room"
        )
        Path(directory).chmod(0o711)
        with EmbeddedPostgres.start(Path(directory) / "postgres", durable=False) as server:
            asyncio.run(_questions(server.conninfo, events))


async def _questions(conninfo: str, events: int) -> None:
    await migrate(conninfo)
    fill(conninfo, events)
    async with await connect(conninfo) as connection:
        for number in range(5):
            await add_rule(connection, f'$.user == "U{number}"', None)
        taken = {}
        for chosen in filters():
            first, again = [await timed(fetch_page(connection, chosen)) for _ in range(2)]
            taken[chosen] = (first, again)
        report("events, first time", [first for first, _ in taken.values()])
        report("events, again", [again for _, again in taken.values()])
        for chosen, times in sorted(taken.items(), key=lambda item: -max(item[1]))[:5]:
            wanted = {name: value for name, value in asdict(chosen).items() if value}
            print(f"    {times[0]:.0f} and {times[1]:.0f} ms: {wanted}")
        some = await (await connection.execute(_SOME)).fetchall()
        report("event", [await timed(fetch_event(connection, row[0])) for row in some])
        report(
            "why", [await timed(fetch_message_trail(connection, row[1], row[2])) for row in some]
        )
        report("discard list", [await timed(list_rules(connection)) for _ in range(3)])


def filters() -> Iterable[EventFilter]:
    """Every combination of frequent and rare values; many of them never occur together."""
    values: dict[str, tuple[Any, ...]] = {
        "outcome": (None, "stored", "discarded", "audit", "failed"),
        "types": ((), ("message",), ("reaction_added",), ("team_join",)),
        "channel_ids": ((), ("C0",), ("C1",), ("C0", "C900")),
        "user_ids": ((), ("UBOT",), ("U0",), ("U4000",)),
        "rule": (None, 3),
        "since": (None, datetime.now(UTC) - timedelta(days=7)),
    }
    for combination in itertools.product(*values.values()):
        chosen = EventFilter(**dict(zip(values, combination, strict=True)))
        if chosen.rule is None or chosen.outcome == "discarded":
            yield chosen


async def timed(answer: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await answer
    return (time.perf_counter() - began) * 1000


def report(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(
        f"{name}: {len(times)} queries, median {statistics.median(times):.1f} ms, p99 {p99:.1f} ms,"
        f" slowest {ordered[-1]:.1f} ms (target: {_TARGET_MS:.0f})"
    )


def fill(conninfo: str, events: int) -> None:
    began = time.monotonic()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}".encode())
        step = 500_000
        for first in range(1, events + 1, step):
            values = {"events": events, "first": first, "last": min(first + step - 1, events)}
            connection.execute(_FILL, values)
        connection.execute(_DELIVERIES)
        connection.execute("set maintenance_work_mem = '1GB'")
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("vacuum analyze slack.event")
        connection.execute("vacuum analyze slack.delivery")
        sizes = connection.execute(
            "select pg_size_pretty(pg_table_size('slack.event')), pg_size_pretty(pg_indexes_size('slack.event'))"
        ).fetchone()
    print(
        f"{events:,} events in {time.monotonic() - began:.0f} s: table {sizes[0]}, indexes {sizes[1]}"
    )


def replayed(events: int = 20_000) -> None:
    with place() as (home, conninfo):
        rate = asyncio.run(_replayed(home, conninfo, events))
    print(f"replay of {events:,} discarded messages: {rate:,.0f} events/s")


async def _replayed(home: Path, conninfo: str, events: int) -> float:
    await migrate(conninfo)
    async with await connect(conninfo) as connection:
        rule = (await add_rule(connection, "$.ts != null", None)).id
        async with ingesting(home, conninfo, events, 0) as (_, sender):
            assert sender.stdout is not None
            await asyncio.to_thread(sender.stdout.readline)
        await connection.execute("delete from slack.message_discard")
        began = time.monotonic()
        done = 0
        async for report_ in replay(connection, ReplaySelection(rule=rule)):
            done = report_.events
        return done / (time.monotonic() - began)


if __name__ == "__main__":
    command = {"questions": questions, "replay": replayed}[sys.argv[1]]
    command(*map(int, sys.argv[2:3]))

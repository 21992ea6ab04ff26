"""All of a workspace's history, while Slack fails, people edit and delete, and the backfill is killed.

TIGER_SLACK_TEST_SCALE=100 reads 300 channels with 150,000 messages. It prints its figures with -s.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.gapped import payload
from tests.histories import EPOCH, differences, history
from tests.support import SCALE, delivered, make_engine, running
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import Faults, LocalSlack

pytestmark = pytest.mark.slow

CHANNELS, MESSAGES, KILLS, CHANGES = (
    (300, 150_000, 25, 20_000) if SCALE >= 100 else (5, 400, 3, 150)
)
SECONDS = (1.0, 12.0) if SCALE >= 100 else (0.8, 1.6)
"""How long the backfill runs before a kill."""


async def test_nothing_is_missing_and_nothing_twice(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    rand = random.Random(7)
    directory = history(CHANNELS, MESSAGES, answered=8 if SCALE >= 100 else 1)
    faults = Faults(
        http_429=0.05,
        http_500=0.05,
        limited_200=0.02,
        expired_cursors=0.3,
        duplicates=0.1,
        shuffle=20,
        wait=0,
    )
    began = time.monotonic()
    async with LocalSlack(directory=directory, faults=faults) as slack:
        for channel in directory.channels:
            database.execute(
                "insert into slack.gap (team_id, reason, started_at, ended_at, channel_id)"
                " values ('T0LOCAL', 'by hand', %s, %s, %s)",
                (EPOCH, datetime.now(UTC), channel),
            )
        jobs = JobSettings(backfill=False)
        async with running(make_engine(slack, conninfo, tmp_path, jobs=jobs)) as engine:
            changing = asyncio.create_task(change(slack, directory, rand))
            kills = await read_with_kills(slack, conninfo, rand)
            await changing
            await slack.flush()
            await delivered(slack, engine)
            calls = Counter(slack.calls)
        seconds = time.monotonic() - began
    assert kills == KILLS
    # What was changed while the backfill read it is as Slack has it now.
    assert differences(conninfo, directory) == []
    # The instance hears the channels once the backfill has listed them, and the time until then is owed, too.
    query = "select closed_at is not null, error from slack.gap where started_at = 'epoch'"
    assert database.execute(query).fetchall() == [(True, None)] * CHANNELS
    account = (
        "select sum((account -> 'messages' ->> 'read')::int8)"
        ", sum((account -> 'messages' ->> 'inserted')::int8)"
        ", sum((account -> 'messages' ->> 'already_there')::int8)"
        ", sum((account -> 'messages' ->> 'updated')::int8)"
        ", (select count(*) from slack.message) from slack.gap where started_at = 'epoch'"
    )
    [(read, inserted, known, updated, rows)] = database.execute(account).fetchall()
    assert read <= MESSAGES + CHANGES  # no page was counted twice
    sys.stdout.write(
        f"{rows:,} messages of {CHANNELS} channels in {seconds:.0f} s, {kills} kills, {CHANGES:,} changes:"
        f" {read:,} read, {inserted:,} inserted, {known:,} known, {updated:,} updated; {calls}\n"
    )
    whole = (
        "select count(*) from slack.channel_history where complete @> '1970-01-01Z'::timestamptz"
    )
    assert database.execute(whole).fetchone() == (CHANNELS,)


async def read_with_kills(slack: LocalSlack, conninfo: str, rand: random.Random) -> int:
    """Run the backfill to its end, and kill it again and again before that. Returns the number of kills."""
    kills = 0
    while True:
        async with backfill(slack, conninfo) as process:
            if kills < KILLS:
                await asyncio.sleep(rand.uniform(*SECONDS))
                if process.returncode is None:
                    process.kill()
                    kills += 1
                await process.wait()
            elif await process.wait() == 0:
                return kills


@asynccontextmanager
async def backfill(slack: LocalSlack, conninfo: str) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = (conninfo, slack.url, slack.bot_token, slack.app_token)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.history_child", *arguments)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def change(slack: LocalSlack, directory: Directory, rand: random.Random) -> None:
    """Edit, delete, answer and react to messages of all times."""
    for number, event in zip(range(CHANGES), changes(directory, rand), strict=False):
        await slack.send(payload(f"EvChange{number}", event))
        await asyncio.sleep(0.005)


def changes(directory: Directory, rand: random.Random) -> Iterator[dict[str, Any]]:
    channels = list(directory.channels)
    known = {channel: [m["ts"] for m in directory.messages(channel)] for channel in channels}
    while True:
        channel = rand.choice(channels)
        if not known[channel]:
            continue
        ts = rand.choice(known[channel])
        message = directory._messages[channel].get(ts)
        if message is None or message.get("subtype") == "tombstone":
            continue
        now = f"{time.time():.6f}"
        shared = {"channel": channel, "event_ts": now, "channel_type": "channel"}
        kind = rand.random()
        if kind < 0.4:
            edited = {"user": message["user"], "ts": f"{now.partition('.')[0]}.000000"}
            changed = message | {"text": f"edited {now}", "edited": edited}
            yield shared | {
                "type": "message",
                "subtype": "message_changed",
                "ts": now,
                "message": changed,
            }
        elif kind < 0.6:
            known[channel].remove(ts)
            yield shared | {
                "type": "message",
                "subtype": "message_deleted",
                "ts": now,
                "deleted_ts": ts,
            }
        elif kind < 0.8:
            new = {"type": "message", "user": "U1", "text": f"reply {now}", "ts": now}
            known[channel].append(now)
            yield shared | new | {"thread_ts": message.get("thread_ts", ts), "team": "T0LOCAL"}
        else:
            item = {"type": "message", "channel": channel, "ts": ts}
            reaction = {"type": rand.choice(["reaction_added", "reaction_removed"]), "item": item}
            yield reaction | {
                "user": "U2",
                "reaction": rand.choice(["eyes", "tada"]),
                "event_ts": now,
            }

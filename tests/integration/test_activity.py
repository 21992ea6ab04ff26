"""slack.activity_daily and slack.get_activity(): what is counted, after any history of the messages."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.archives import export, run_import, write_folder
from tests.archives import message as archived
from tests.auditing import asking
from tests.integration.test_convergence import _record
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.store.activity import daily_activity
from tiger_slack_tui.store.events import as_array
from tiger_slack_tui.store.visible_channels import VisibleChannels

START = 1_700_000_000
Activity = dict[tuple[str, str], tuple[Any, ...]]
"""By day and channel."""


def activity(database: psycopg.Connection[Any], where: str = "true") -> Activity:
    query = f"select day::text, a.* from slack.activity_daily a where {where}"  # noqa: S608
    return {(day, row[1]): tuple(row[2:]) for day, *row in database.execute(query.encode())}


def counted(expected: Expected) -> Activity:
    """What the events lead to, counted without the database."""
    messages: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    replies: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (channel, ts), content in expected.messages.items():
        day = datetime.fromtimestamp(float(ts), UTC).date().isoformat()
        messages[day, channel].append((ts, content))
        if (content["thread_ts"] or ts) < ts:
            replies[channel, content["thread_ts"]].append(ts)
    found: Activity = {}
    for (day, channel), posted in messages.items():
        threads = {c["thread_ts"] for ts, c in posted if c["thread_ts"] not in (None, ts)}
        waits = sorted(
            float(min(replies[channel, ts])) - float(ts) for ts, _ in posted if replies[channel, ts]
        )
        found[day, channel] = (
            len(posted),
            len({content["user_id"] for _, content in posted} - {None}),
            len(threads),
            sum(len(content["reactions"] or ()) for _, content in posted),
            round(statistics.median(waits), 3) if waits else None,
            round(_share(waits, 0.9), 3) if waits else None,
        )
    return found


def _share(values: list[float], share: float) -> float:
    at = (len(values) - 1) * share
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def rounded(found: Activity) -> Activity:
    return {
        key: (*row[:4], *(None if each is None else round(each, 3) for each in row[4:]))
        for key, row in found.items()
    }


def test_it_is_what_the_events_lead_to_in_any_order(database: psycopg.Connection[Any]) -> None:
    payloads = list(Workspace(3, START, 0.001).events(700))
    expected = Expected()
    for payload in payloads:
        expected.apply(payload)
    random.Random(1).shuffle(payloads)
    for first in range(0, len(payloads), 100):
        batch = [_record(each["event_id"], each["event"]) for each in payloads[first : first + 100]]
        database.execute("select slack.ingest(%s::jsonb)", (as_array(batch),))
    found = activity(database)
    assert rounded(found) == counted(expected)
    assert all(any(row[column] for row in found.values()) for column in range(6))

    # A condition on the day, a channel, an author, visible channels.
    day, channel = max(found)
    assert activity(database, f"day = '{day}'") == {k: v for k, v in found.items() if k[0] == day}
    period = (day, str(datetime.fromisoformat(day) + timedelta(days=1)))
    function = "select channel_id, messages from slack.get_activity(%s, %s, %s, %s, %s)"
    of_channel = database.execute(function, (*period, [channel], None, None)).fetchall()
    assert of_channel == [(channel, found[day, channel][0])]
    seen = database.execute(function, (*period, None, None, [channel])).fetchall()
    assert seen == of_channel
    [author] = database.execute(
        "select user_id from slack.message where channel_id = %s and ts >= %s and user_id is not null limit 1",
        (channel, day),
    ).fetchone() or [None]
    [(_, messages)] = database.execute(function, (*period, [channel], [author], None)).fetchall()
    assert 0 < messages <= found[day, channel][0]

    sums = database.execute(
        "select day::text, channel_id, messages, people, threads"
        " from slack.get_activity('2000-01-01', now(), sums => true)"
    ).fetchall()
    people = {c["user_id"] for c in expected.messages.values()} - {None}
    [total] = [row[2:4] for row in sums if row[:2] == (None, None)]
    assert total == (len(expected.messages), len(people))
    assert len(sums) == 1 + len({day for day, _ in found}) + len({each for _, each in found})
    for of_day, of, messages, _, threads in sums:
        parts = [v for (d, c), v in found.items() if of_day in (None, d) and of in (None, c)]
        assert messages == sum(row[0] for row in parts)
        assert threads <= sum(row[2] for row in parts)

    # Until the job "search" has reached a day, its first replies are not known, and all days are found.
    database.execute("delete from slack.channel_week")
    database.execute("update slack.search_progress set finished_at = null, ts = %s", (day,))
    later = activity(database)
    assert {key: row[:4] for key, row in later.items()} == {k: v[:4] for k, v in found.items()}
    assert {row[4:] for key, row in later.items() if key[0] <= day} == {(None, None)}


async def test_an_import_counts(conninfo: str, tmp_path: Path) -> None:
    records = [
        archived(0, thread_ts=f"{START}.000100"),
        archived(90, thread_ts=f"{START}.000100", user="U2"),
        archived(100, reactions=[{"name": "eyes", "users": ["U1", "U2"], "count": 2}]),
    ]
    files = export({"general": {"2023-11-14": records}})
    await run_import(conninfo, write_folder(tmp_path / "export", files))
    with psycopg.connect(conninfo) as database:
        assert activity(database) == {("2023-11-14", "C0"): (3, 2, 1, 2, 90.0, 90.0)}
    async with asking(conninfo) as connection:
        since = datetime.fromtimestamp(START, UTC)
        rows = await daily_activity(
            connection,
            VisibleChannels({"C0": "channel"}),
            since=since,
            until=since + timedelta(minutes=1),
            channel_id=None,
            user_id=None,
            after=None,
            n=9,
        )
    assert [(row.messages, row.first_reply_p50) for row in rows] == [(1, 90.0)]

"""Workspaces with a history, and the comparison of the tables with what Slack has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.gapped import web_of
from tests.support import AT_ONCE
from tiger_slack_tui.backfill.result import BackfillProgress, GapResult
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.slack.paged_history import HistoryPace
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.job_runs import JobRun

NOW = float(int(time.time()))
DAY = 86_400.0
FIRST, SECOND, THIRD = "C00000", "C00001", "C00002"
"""The first channels of `history`."""
EPOCH = datetime.fromtimestamp(0, UTC)
_PEOPLE = [f"U{n}" for n in range(1, 9)]


def history(
    channels: int,
    messages: int,
    *,
    seed: int = 1,
    days: float = 400,
    is_member: bool = True,
    replies: float = 0.35,
    answered: int = 1,
) -> Directory:
    """A workspace with so many channels and messages in all. A share of them are replies, also late ones.

    One of `answered` messages can get replies.
    """
    listed = [
        {
            "id": f"C{n:05}",
            "name": f"place-{n}",
            "created": int(NOW - days * DAY),
            "is_member": is_member,
        }
        for n in range(channels)
    ]
    directory = Directory([], listed, most_messages=1 << 30)
    for event in _events(
        random.Random(seed), [c["id"] for c in listed], messages, days, replies, answered
    ):
        directory.apply(event)
    return directory


def _events(
    rand: random.Random,
    channels: Sequence[str],
    messages: int,
    days: float,
    replies: float,
    answered: int,
) -> Iterator[dict[str, Any]]:
    parents: dict[str, list[str]] = {channel: [] for channel in channels}
    step = days * DAY / (messages + 1)
    for n in range(messages):
        # Channels are of different sizes, as in life.
        channel = channels[int(rand.random() ** 2 * len(channels))]
        at = f"{NOW - days * DAY + n * step:.6f}"
        event = {"type": "message", "channel": channel, "ts": at, "event_ts": at}
        event |= {"user": rand.choice(_PEOPLE), "text": f"{n} in {channel}", "team": "T0LOCAL"}
        known = parents[channel]
        if known and rand.random() < replies:
            # Mostly to one of the last ten threads, sometimes to any old one.
            recent = known[-10:] if rand.random() < 0.9 else known
            event["thread_ts"] = rand.choice(recent)
            if rand.random() < 0.05:
                event["subtype"] = "thread_broadcast"
        else:
            if n % answered == 0 or not known:
                known.append(at)
        yield event
        if rand.random() < 0.05:
            item = {"type": "message", "channel": channel, "ts": at}
            reaction = {"type": "reaction_added", "user": rand.choice(_PEOPLE), "item": item}
            yield reaction | {"reaction": "eyes", "event_ts": at}


async def read_histories(
    slack: LocalSlack,
    conninfo: str,
    *,
    results: list[GapResult] | None = None,
    since: datetime = EPOCH,
    is_patient: bool = True,
    pace: HistoryPace = AT_ONCE,
    on_progress: Callable[[BackfillProgress], None] = lambda _: None,
    give_up_after: int | None = None,
    is_by_operator: bool = True,
) -> JobRun:
    """Read the histories of all channels as an operator would, or go on with those that are not finished."""

    async def find(connection: Connection, team: Any) -> list[gaps.Gap]:
        due = await gaps.due(connection, team, growing=True)
        return due or [
            await gaps.add(
                connection,
                team=team,
                since=since,
                until=datetime.now(UTC),
                channel=channel,
                instance="test",
            )
            for channel in slack.directory.channels
        ]

    named = with_defaults(conninfo, application_name="test")
    async with web_of(slack, give_up_after=give_up_after) as web:
        job = make_chosen_gaps_job(
            web,
            find,
            pace=pace,
            is_by_operator=is_by_operator,
            is_patient=is_patient,
            on_result=(results if results is not None else []).append,
            on_progress=on_progress,
        )
        return await Runner(named, instance="test", timeout=600).run(job, reason="by hand")


def differences(conninfo: str, directory: Directory) -> list[str]:
    """What slack.message lacks of Slack's messages, has too much, or has otherwise; at most 20 lines."""
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        query = "select channel_id, ts, thread_ts, user_id, text, reactions from slack.message"
        stored = {(r["channel_id"], slack_ts(r["ts"])): r for r in connection.execute(query)}
    wanted = {
        (channel, message["ts"]): message
        for channel in directory.channels
        for message in directory.messages(channel)
        if message.get("subtype") != "tombstone"
    }
    found = [f"missing: {key}" for key in wanted.keys() - stored.keys()]
    found += [f"too many: {key}" for key in stored.keys() - wanted.keys()]
    for key in wanted.keys() & stored.keys():
        row, message = stored[key], wanted[key]
        thread = row["thread_ts"] and slack_ts(row["thread_ts"])
        # A parent has its own ts as thread_ts while it has replies, which no event reports.
        own = (None, key[1])
        given_thread = message.get("thread_ts")
        same_thread = thread == given_thread or (thread in own and given_thread in own)
        shown = {(r["user_id"], r["reaction"]) for r in row["reactions"] or ()}
        given = {(user, r["name"]) for r in message.get("reactions", ()) for user in r["users"]}
        if (row["text"], row["user_id"], shown) != (
            message["text"],
            message["user"],
            given,
        ) or not same_thread:
            found.append(f"different: {key}")
    return found[:20]


def states(database: psycopg.Connection[Any]) -> dict[str, tuple[bool, str | None]]:
    """By channel: whether its gap is closed, and its error."""
    query = "select channel_id, closed_at is not null, error from slack.gap order by id"
    return {channel: (closed, error) for channel, closed, error in database.execute(query)}

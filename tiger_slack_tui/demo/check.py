"""Compares the tables with the events that were sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.search_index import wrong_documents
from tiger_slack_tui.store.whole_tables import Table, fetch_table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("ts", "event_ts", "thread_ts", "updated_at")
_TABLES: tuple[Table, ...] = ("user", "channel", "message", "tombstone", "event")


async def differences(conninfo: str, expected: Expected, *, most: int = 20) -> list[str]:
    """The differences between the tables and `expected`, at most `most` lines; empty if there are none."""
    async with await connect(conninfo) as connection:
        rows = {table: await fetch_table(connection, table) for table in _TABLES}
        documents = await wrong_documents(connection)
    found = [
        f"slack.message_search: the document of {(channel, _slack(ts))} is not that of its message"
        for channel, ts in documents[:most]
    ]
    for line in _compare(rows, expected):
        if len(found) == most:
            break
        found.append(line)
    return found


def _compare(rows: Mapping[Table, list[dict[str, Any]]], expected: Expected) -> Iterator[str]:
    lists: tuple[tuple[Table, Mapping[str, Any]], ...] = (
        ("user", expected.users),
        ("channel", expected.channels),
    )
    for table, wanted in lists:
        yield from _differ(table, {row["id"]: row for row in rows[table]}, wanted)
    messages = {(row["channel_id"], _slack(row["ts"])): _message(row) for row in rows["message"]}
    yield from _differ("message", messages, expected.messages)
    tombstones: dict[Any, dict[str, Any]] = {
        (row["channel_id"], _slack(row["ts"])): {} for row in rows["tombstone"]
    }
    yield from _differ("tombstone", tombstones, {key: {} for key in expected.tombstones})
    yield from _twice(rows["event"])
    outcomes = {row["event_id"]: {"outcome": row["outcome"]} for row in rows["event"]}
    wanted = {event_id: {"outcome": outcome} for event_id, outcome in expected.events.items()}
    yield from _differ("event", outcomes, wanted)


def _differ(
    table: str, have: Mapping[Any, Mapping[str, Any]], want: Mapping[Any, Mapping[str, Any]]
) -> Iterator[str]:
    for key in want.keys() - have.keys():
        yield f"slack.{table} lacks {key}"
    for key in have.keys() - want.keys():
        yield f"slack.{table} has {key}, which was not sent"
    for key in want.keys() & have.keys():
        for column, value in want[key].items():
            if have[key].get(column) != value:
                yield f"slack.{table} {key}: {column} is not what was sent"


def _twice(events: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for row in events:
        if row["event_id"] in seen:
            yield f"slack.event has {row['event_id']} twice"
        seen.add(row["event_id"])


def _message(row: dict[str, Any]) -> dict[str, Any]:
    """The row in Slack's own values, as they were sent."""
    shown = row | {name: row[name] and _slack(row[name]) for name in _TIMES}
    shown["client_msg_id"] = row["client_msg_id"] and str(row["client_msg_id"])
    shown["reactions"] = sorted(row["reactions"] or [], key=lambda r: (r["user_id"], r["reaction"]))
    return shown


def _slack(time: datetime) -> str:
    """A time as Slack's ts."""
    seconds, microseconds = divmod((time - _EPOCH) // timedelta(microseconds=1), 1_000_000)
    return f"{seconds}.{microseconds:06d}"

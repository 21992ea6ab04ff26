"""Measures the MCP server. The figures depend on the machine.

    python benchmarks/mcp.py questions [MESSAGES]   time of calls of tools, over 1,000,000 messages
    python benchmarks/mcp.py start                  time to the first answers, compared with the bare SDK; idle memory

`questions` uses the embedded PostgreSQL, or the TimescaleDB of TIGER_SLACK_BENCHMARK_DSN. It drops the schema slack
there, and also measures messages in the columnstore.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

# This file must not hide the SDK, which has the same name.
sys.path.append(sys.path.pop(0))

import psycopg
from corpus import CHANNELS, USERS, Stopwatch, Text, Took, corpus, fill, shown
from mcp import Client
from search import mixed

from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.run import make_service
from tiger_slack_tui.mcp.server import make_server
from tiger_slack_tui.postgres.migrate.run import migrate

_CALLS = 300
_TARGETS = {"search": 300, "get_thread_messages": 50, "get_message_context": 50}
_SOME = """
select m.channel_id, slack.to_ts(m.ts)
from slack.message m tablesample system (1)
where not %s or m.thread_ts is not null
order by random()
limit 300
"""
_BACKENDS = """
select a.pid
from pg_stat_activity a
where a.datname = current_database()
and a.backend_type = 'client backend'
and a.pid <> pg_backend_pid()
"""
_COMPRESS = """
select compress_chunk(c, true) from show_chunks('slack.message', older_than => now() - interval '45 days') c
"""


@contextmanager
def _database(messages: int) -> Iterator[tuple[str, bool]]:
    """The conninfo of a database with so many messages, and whether it has the columnstore."""
    if given := os.environ.get("TIGER_SLACK_BENCHMARK_DSN"):
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
            connection.execute("drop schema if exists slack cascade")
        asyncio.run(migrate(given))
        fill(given, messages)
        yield given, True
    else:
        with corpus(messages) as conninfo:
            yield conninfo, False


async def _times(
    client: Client, backends: list[int], tool: str, calls: list[dict[str, Any]]
) -> list[tuple[Took, dict[str, Any]]]:
    """The time of each call, and its arguments."""
    times = []
    watch = Stopwatch(backends)
    for arguments in calls:
        watch.lap()
        result = await client.call_tool(tool, arguments)
        times.append((watch.lap(), arguments))
        assert not result.is_error, result.content
    return times


async def _ask(conninfo: str, text: Text, what: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        messages = [
            dict(zip(("channel", "ts"), row, strict=True)) for row in _rows(connection, False)
        ]
        threads = [
            dict(zip(("channel", "ts"), row, strict=True)) for row in _rows(connection, True)
        ]
    queries = [mixed(text) for _ in range(_CALLS)]
    calls = {
        "search": [
            {"query": query, "order": "newest" if newest else "relevance"}
            for query, newest in queries
        ],
        "get_thread_messages": threads,
        "get_message_context": messages,
        "get_conversations_in_channel": [
            {"channel": f"C{random.randrange(CHANNELS):08}"} for _ in range(100)
        ],
        "get_conversations_with_user": [
            {"user": f"person{random.randrange(USERS)}"} for _ in range(100)
        ],
        "why": messages[:100],
    }
    service = make_service(
        Settings(home=Path("/nowhere"), conninfo=conninfo), lambda: nullcontext(conninfo), Access()
    )
    async with Client(make_server(service)) as client:
        await client.call_tool("get_channels", {})
        with psycopg.connect(conninfo) as connection:
            backends = [pid for (pid,) in connection.execute(_BACKENDS).fetchall()]
        for tool, asked in calls.items():
            times = await _times(client, backends, tool, asked)
            took = [each for each, _ in times]
            target = f" (target: {_TARGETS[tool]})" if tool in _TARGETS else ""
            print(f"{tool}, {what}: median {shown(took)}; p99 {shown(took, 0.99)}{target}")
            for slow, arguments in sorted(times, key=lambda each: each[0])[-2:]:
                print(f"    {slow.wall:.0f} ms, {slow.cpu:.0f} ms {arguments}")
    service.database.close()


def _rows(connection: psycopg.Connection[Any], threads: bool) -> list[tuple[Any, ...]]:
    return connection.execute(_SOME, (threads,)).fetchall()


def questions(messages: int = 1_000_000) -> None:
    with _database(messages) as (conninfo, has_columnstore):
        asyncio.run(_ask(conninfo, Text(), f"{messages:,} messages in rows"))
        if has_columnstore:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                # A TimescaleDB of one session still has the settings of the MCP server.
                connection.execute("set default_transaction_read_only = off")
                connection.execute("set search_path = public")
                connection.execute(_COMPRESS)
            asyncio.run(_ask(conninfo, Text(), f"{messages:,} messages in the columnstore"))


_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
_LIST = (
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)
_SERVERS = {
    "tiger-slack mcp": ["-m", "tiger_slack_tui", "mcp"],
    "a server of the SDK without tools": [
        "-c",
        "from mcp.server.mcpserver import MCPServer; MCPServer('bare').run()",
    ],
}


class _Start(NamedTuple):
    initialised: float
    """Seconds until it has answered `initialize`."""
    listed: float
    """Seconds until it has listed its tools, which needs the SDK."""
    cpu: float
    """Seconds of CPU time until then."""
    memory: float
    """MB of the process then."""


def _started(arguments: list[str]) -> _Start:
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        times = []
        for messages in ((_HELLO,), _LIST):
            process.stdin.write("".join(json.dumps(each) + "\n" for each in messages))
            process.stdin.flush()
            process.stdout.readline()
            times.append(time.perf_counter() - began)
        status = Path(f"/proc/{process.pid}/status").read_text()
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        process.stdin.close()
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return _Start(*times, cpu, int(status.partition("VmRSS:")[2].split()[0]) / 1024)


def start() -> None:
    found: dict[str, list[_Start]] = {name: [] for name in _SERVERS}
    for _ in range(7):
        for name, arguments in _SERVERS.items():
            found[name].append(_started(arguments))
    for name, starts in found.items():
        of = _Start(*(statistics.median(values) for values in zip(*starts, strict=True)))
        target = " (target: 1)" if name == "tiger-slack mcp" else ""
        print(
            f"{name}: initialised within {of.initialised:.2f} s median{target},"
            f" {min(each.initialised for each in starts):.2f} s at best;"
            f" tools listed within {of.listed:.2f} s, {of.cpu:.2f} s of CPU time; memory {of.memory:.0f} MB"
        )
    ours, bare = ([each.initialised for each in starts] for starts in found.values())
    print(
        f"initialised in {statistics.median(ours) / statistics.median(bare):.0%} of the SDK's time"
    )


if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or [""]
    if name == "questions":
        questions(*map(int, arguments))
    elif name == "start":
        start()
    else:
        sys.exit(__doc__)

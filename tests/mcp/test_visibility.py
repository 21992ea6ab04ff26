"""What is hidden: every tool answers as if it had never been stored."""

from __future__ import annotations

import itertools
import json
import random
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.auditing import message, store
from tests.conftest import new_database
from tests.faults.pooler import transaction_pooler
from tests.mcp.serving import Asking, Workspace, asking
from tests.support import SCALE
from tiger_slack_tui.base.errors import DatabaseUnavailable, SettingsError
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.read_only import QuestionTooSlow, ReadOnlyDatabase

CHANNELS = {
    "C1": ("ops", {"is_private": False}),
    "C2": ("sales", {"is_channel": True, "is_private": False}),
    "C3": ("secret-plans", {"is_private": True}),
    "C4": ("nobody-knows", {"is_private": None}),
    "G5": ("mpdm-ana--bob-1", {"is_mpim": True, "is_private": True}),
    "D6": (None, {}),
    "C7": ("by-message", {"is_private": None}),
}
"""C4 is of no known type. D6 is only in slack.message. C7 is public by its newest message."""
TYPES = {"C3": "group", "G5": "mpim", "D6": "im", "C7": "channel"}
ACCESSES = {
    Access(): {"C1", "C2", "C7"},
    Access(private=True): {"C1", "C2", "C3", "C7"},
    Access(direct_messages=True, emails=True): {"C1", "C2", "C7", "G5", "D6"},
    Access(channels=("secret-plans", "C1")): {"C1", "C3"},
}
WORDS = ("invoice", "deploy", "ana", "<#C3|secret-plans>", "<@U2>", "<#C2|sales>", "ops", "plans")


def fill(database: psycopg.Connection[Any], seed: int, visible: set[str]) -> list[tuple[str, str]]:
    """Store what happened in the visible channels only. Returns all messages, of hidden channels, too."""
    chance = random.Random(seed)
    workspace = Workspace(database)
    for id_, name in (("U1", "ana"), ("U2", "bob"), ("U3", "plans")):
        workspace.user(id_, name, profile={"email": f"{name}@example.org"})
    for id_, (name, flags) in CHANNELS.items():
        if name is not None and id_ in visible:
            workspace.channel(id_, name, **flags)
    known: list[tuple[str, str]] = []
    for number in range(60):
        channel = chance.choice(list(CHANNELS))
        parents = [ts for where, ts in known if where == channel]
        is_reply = bool(parents) and chance.random() < 0.5
        content: dict[str, Any] = {
            "text": " ".join(chance.choices(WORDS, k=3)),
            "user": chance.choice(("U1", "U2", "U3")),
            "channel": channel,
            "channel_type": TYPES.get(channel, "channel" if channel != "C4" else None),
            "thread_ts": parents[0] if is_reply else None,
        }
        content = {name: value for name, value in content.items() if value is not None}
        if channel in visible:
            known.append((channel, workspace.post(**content)))
        else:
            workspace.skip(1)
            known.append((channel, workspace.last_ts))
        if number % 20 == 0:
            workspace.gap(
                number + 1, f"2026-02-{10 + number // 20}", f"2026-02-{11 + number // 20}"
            )
            if channel in visible:
                workspace.gap(number + 2, "2026-02-20", None, channel)
    return known


async def everything(client: Asking, messages: list[tuple[str, str]]) -> list[Any]:
    """What all tools answer to many questions; errors as their texts."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_channels", {"include_archived": True}),
        ("get_channels", {"name": "s*"}),
        ("get_users", {}),
        ("get_users", {"name": "example.org"}),
        ("get_gaps", {"include_closed": True}),
        ("get_activity", {"since": "2026-02-20", "until": "2026-03-01"}),
        ("get_activity", {"since": "2026-02-20", "until": "2026-03-01", "user": "ana"}),
    ]
    queries = (
        *WORDS,
        "secret-plans",
        "in:secret-plans",
        "in:s*",
        "in:secret-plan",
        "from:@ana",
    )
    calls += [
        ("search", {"query": query, "order": "newest" if len(query) % 2 else "relevance"})
        for query in queries
    ]
    calls += [("search", {"query": f"in:{channel}"}) for channel in CHANNELS]
    calls += [
        ("get_activity", {"since": "2026-02-20", "channel": c}) for c in ("C3", "secret-plans")
    ]
    for name in ("ana", "@bob"):
        calls.append(("get_conversations_with_user", {"user": name, "limit": 7}))
    for channel in ("ops", "secret-plans", "D6", "C4"):
        calls.append(("get_conversations_in_channel", {"channel": channel, "since": "2026-02-20"}))
    for channel, ts in messages[::8]:
        for tool in ("get_thread_messages", "get_message_context", "why"):
            calls.append((tool, {"channel": channel, "ts": ts}))
    answers = []
    for tool, arguments in calls:
        result = await client.client.call_tool(tool, arguments)
        shown = json.loads(json.dumps(result.structured_content))
        answers.append((tool, arguments, shown or result.content[0].text))  # type: ignore[union-attr]
    return answers


@pytest.mark.parametrize("seed", range(SCALE))
async def test_as_if_it_had_never_existed(
    postgres: EmbeddedPostgres, template: str, tmp_path: Path, seed: int
) -> None:
    whole = new_database(postgres, template)
    with psycopg.connect(whole, autocommit=True) as database:
        fill(database, seed, set(CHANNELS))
    for access, visible in ACCESSES.items():
        part = new_database(postgres, template)
        with psycopg.connect(part, autocommit=True) as database:
            messages = fill(database, seed, visible)
        async with asking(whole, tmp_path, access) as client:
            found = await everything(client, messages)
        async with asking(part, tmp_path, access) as client:
            expected = await everything(client, messages)
        for one, other in itertools.zip_longest(found, expected):
            assert one == other
        shown = {each["id"] for each in found[0][2]["channels"]}
        assert shown == visible - {"D6"}
        if not access.channels:
            answers = json.dumps([each[2] for each in found])
            assert ("mpdm-ana" in answers) == access.direct_messages
        if "C3" not in visible:
            blind = [each for each in found if "secret-plan" not in str(each[1])]
            assert "secret-plan" not in json.dumps(blind)
            assert "C3" in json.dumps(blind)
        assert ("bob@example.org" in json.dumps(found)) == access.emails


async def test_a_channel_that_becomes_private_is_hidden(
    database: psycopg.Connection[Any], conninfo: str, tmp_path: Path
) -> None:
    workspace = Workspace(database)
    workspace.channel("C1", "ops")
    workspace.channel("C2", "sales")
    change = message(1, channel="C2", subtype="channel_convert_to_private")
    await store(conninfo, {"Ev1": change})
    async with asking(conninfo, tmp_path) as client:
        assert [c["id"] for c in (await client.ask("get_channels"))["channels"]] == ["C1"]
    private = {"channel": "C1", "user": "U1", "text": "x", "channel_type": "group"}
    unsaid = {"channel": "C1", "user": "U1", "text": "y"}  # newer, and of no type
    for ago, given in (("1 min", private), ("0 min", unsaid)):
        database.execute(
            "select slack.insert_message("
            "jsonb_build_object('ts', slack.to_ts(now() - %s::interval)) || %s)",
            (ago, json.dumps(given)),
        )
    async with asking(conninfo, tmp_path) as client:
        assert (await client.ask("get_channels"))["channels"] == []


async def test_an_allow_list_that_names_nothing(conninfo: str, tmp_path: Path) -> None:
    async with asking(conninfo, tmp_path, Access(channels=("ops",))) as client:
        assert "--channel ops" in await client.error("get_channels")
    with pytest.raises(SettingsError):
        Access(channels=("ops",), private=True)


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_transactions_only_read(conninfo: str, is_pooled: bool) -> None:
    async with transaction_pooler(conninfo, size=4) if is_pooled else nullcontext(conninfo) as near:
        reading = ReadOnlyDatabase(partial(nullcontext, make_conninfo(near)), "x mcp")
        with pytest.raises(DatabaseUnavailable, match="takes no writes"):
            async with reading.transaction() as connection:
                await connection.execute("delete from slack.gap")
        async with reading.transaction() as connection:
            cursor = await connection.execute(
                "select current_setting('transaction_read_only'), current_setting('statement_timeout')"
            )
            assert await cursor.fetchone() == ("on", "5s")
        if not is_pooled:
            async with reading.transaction() as connection:
                cursor = await connection.execute(
                    "select current_setting('default_transaction_read_only')"
                    ", current_setting('application_name')"
                )
                assert await cursor.fetchone() == ("on", "x mcp")

        async def slow() -> None:
            async with reading.transaction() as connection:
                await connection.execute("set local statement_timeout = 1")
                await connection.execute("select pg_sleep(10)")

        with pytest.raises(QuestionTooSlow):
            await slow()
        reading.close()

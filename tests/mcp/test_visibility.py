"""What is hidden: every tool answers as if it had never been stored."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
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
from tests.mcp.serving import Workspace, asking, serving
from tests.support import SCALE
from tiger_slack_tui.base.errors import DatabaseUnavailable, SettingsError, TigerSlackError
from tiger_slack_tui.mcp.access import Access
from tiger_slack_tui.mcp.answers import as_json
from tiger_slack_tui.mcp.resources import channels, schema
from tiger_slack_tui.mcp.server import Service, Tool
from tiger_slack_tui.mcp.tools.conversations import (
    get_conversations_in_channel,
    get_conversations_with_user,
)
from tiger_slack_tui.mcp.tools.directory import get_activity, get_channels, get_gaps, get_users
from tiger_slack_tui.mcp.tools.messages import get_message_context, get_thread_messages, search
from tiger_slack_tui.mcp.tools.why import why
from tiger_slack_tui.postgres.embedded.server import EmbeddedPostgres
from tiger_slack_tui.postgres.read_only import QuestionTooSlow, ReadOnlyDatabase
from tiger_slack_tui.store import search as store_search

pytestmark = pytest.mark.slow

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


QUERIES = (
    *WORDS,
    *("secret-plans", "in:secret-plans", "in:s*", "in:secret-plan", "from:@ana"),
    *("-invoice", "ops -deploy -ana", "deploy or plans", "<@U2> or invoice -ana"),
    *("ana before:2026-02-25T06:40Z", "before:2026-02-25T06:30Z", "after:2026-02-25T06:50Z ops"),
    *("has:reaction", "-has:reaction invoice", "has::eyes:", "has:thread -deploy", "de*"),
)


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
        if chance.random() < 0.2:
            content["attachments"] = [{"title": " ".join(chance.choices(WORDS, k=2))}]
        content = {name: value for name, value in content.items() if value is not None}
        reactions = chance.sample(("eyes", "tada"), k=chance.choice((0, 0, 1, 2)))
        if channel in visible:
            known.append((channel, workspace.post(**content)))
            for name in reactions:
                workspace.react(*known[-1], name)
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


def questions(messages: list[tuple[str, str]]) -> Iterator[tuple[Tool, dict[str, Any]]]:
    """Calls of all tools, whose small pages lead to second ones."""
    week = {"since": "2026-02-20", "until": "2026-03-01"}
    yield get_channels, {"include_archived": True}
    yield get_channels, {"name": "s*", "limit": 1}
    yield get_users, {"limit": 2}
    yield get_users, {"name": "example.org"}
    yield get_gaps, {"include_closed": True, "limit": 2}
    yield get_activity, week | {"limit": 2}
    yield get_activity, week | {"user": "ana"}
    for number, query in enumerate((*QUERIES, *(f"in:{channel}" for channel in CHANNELS))):
        order = "newest" if number % 2 else "relevance"
        yield search, {"query": query, "order": order, "limit": 4}
    for channel in ("C3", "secret-plans"):
        yield get_activity, {"since": "2026-02-20", "channel": channel}
    for name in ("ana", "@bob"):
        yield get_conversations_with_user, {"user": name, "limit": 4}
    for channel in ("ops", "secret-plans", "D6", "C4"):
        yield get_conversations_in_channel, {"channel": channel, **week, "limit": 4}
    for channel, ts in messages[::9]:
        yield get_thread_messages, {"channel": channel, "ts": ts, "limit": 2}
        yield get_message_context, {"channel": channel, "ts": ts}
        yield why, {"channel": channel, "ts": ts}


async def everything(service: Service, messages: list[tuple[str, str]]) -> list[Any]:
    """What all tools and resources answer to many questions, page after page; errors as their texts."""
    answers: list[Any] = []
    for tool, arguments in questions(messages):
        answer = await ask(service, tool, arguments)
        answers.append((tool.__name__, arguments, answer))
        for _ in range(2):
            if isinstance(answer, dict) and "next_cursor" in answer:
                answer = await ask(service, tool, arguments | {"cursor": answer["next_cursor"]})
                answers.append((tool.__name__, arguments, answer))
    for resource in (channels, schema):
        async with service.call("resource", {}) as call:
            answers.append((resource.__name__, {}, await resource(call)))
    service.database.close()
    return answers


async def ask(service: Service, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any] | str:
    """What a client gets, without the SDK between."""
    try:
        async with service.call(tool.__name__, arguments) as call:
            return as_json(await tool(call, **arguments))
    except TigerSlackError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(SCALE))
async def test_as_if_it_had_never_existed(
    postgres: EmbeddedPostgres,
    template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    # So small that all ways to find messages are taken.
    for name, value in (("_SAMPLE", 8), ("_WALK", 16), ("_RANKED", 9), ("_FEW", 2), ("_FETCH", 5)):
        monkeypatch.setattr(store_search, name, value)
    whole = new_database(postgres, template)
    with psycopg.connect(whole) as database:
        fill(database, seed, set(CHANNELS))
        database.execute("analyze slack.message_search")
    for access, visible in ACCESSES.items():
        part = new_database(postgres, template)
        with psycopg.connect(part) as database:
            messages = fill(database, seed, visible)
        found, expected = [
            await everything(serving(conninfo, tmp_path, access), messages)
            for conninfo in (whole, part)
        ]
        for one, other in itertools.zip_longest(found, expected):
            assert one == other
        shown = {each["id"] for each in found[0][2]["channels"]}
        assert shown == visible - {"D6"}
        if not access.channels:
            answers = json.dumps([each[2] for each in found])
            assert ("mpdm-ana" in answers) == access.direct_messages
            assert "Very many messages match" in answers
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
        for _ in range(
            8
        ):  # in each session of the pooler, also in the one that took the place of the closed one
            async with reading.transaction() as connection:
                cursor = await connection.execute(
                    "select current_setting('transaction_read_only')"
                    ", current_setting('statement_timeout')"
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

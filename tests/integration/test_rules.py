"""Rules: PostgreSQL checks them, a preview tests them, matches are counted, and every instance applies them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.auditing import asking, at, deletion, edit, message, store
from tests.support import SCALE, count, delivered, make_engine, running
from tiger_slack_tui.audit.preview import Preview, previews
from tiger_slack_tui.audit.rules import (
    READY_RULES,
    NoSuchRule,
    RuleRefused,
    add_rule,
    check_rule,
    remove_rule,
    turn_rule_off,
    turn_rule_on,
)
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.postgres.jsonpath import conditions, holding, parse
from tiger_slack_tui.store.rules import find_rule, list_rules

EVER = datetime(2020, 1, 1, tzinfo=UTC)


async def preview(conninfo: str, match: str, **options: Any) -> Preview:
    options = {"since": EVER} | options
    async with asking(conninfo) as connection:
        return [found async for found in previews(connection, match, **options)][-1]


@pytest.mark.parametrize(
    "match",
    [
        '$.subtype == "channel_join"',
        "!exists($.subtype)",
        '$.text like_regex "^a" flag "i" && ($.a == 1 || $.b == 2)',
        'strict $.a starts with "x"',
        "($.a == 1) is unknown",
        'exists($.blocks[*] ? (@.type == "x"))',
    ],
)
async def test_conditions_are_accepted(conninfo: str, match: str) -> None:
    async with asking(conninfo) as connection:
        canonical = await check_rule(connection, match)
        assert await check_rule(connection, canonical) == canonical


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ('$.bot_id = "B"', 'syntax error at or near "="'),
        ("", "invalid input syntax"),
        ('$.text like_regex "(("', "invalid regular expression"),
        ("$.user == $bot", 'could not find jsonpath variable "bot"'),
        ("$.a", "exists($.a)"),
        ('$ ? (@.subtype == "channel_join")', 'Write a condition: $.subtype == "channel_join"'),
        ('$.blocks[*] ? (@.type == "x")', "exists($.blocks[*]?(@.type"),
        ("$.a + 1", "never match"),
        ("true", "the same for every message"),
    ],
)
async def test_an_expression_that_cannot_be_a_rule_is_refused_with_a_reason(
    conninfo: str, match: str, said: str
) -> None:
    async with asking(conninfo) as connection:
        with pytest.raises(RuleRefused) as caught:
            await add_rule(connection, match, None)
        assert said in str(caught.value)
        assert await list_rules(connection) == []


@pytest.mark.parametrize(
    ("name", "value", "kept_away"),
    [
        ("joins", None, {1, 2}),
        ("bots", None, {3, 4}),
        ("channel", "C2", {5}),
        ("user", "U9", {6}),
        ("app", "A1", {4}),
    ],
)
async def test_ready_rules(
    conninfo: str, database: psycopg.Connection[Any], name: str, value: str, kept_away: set[int]
) -> None:
    events = [
        message(0),
        message(1, subtype="channel_join"),
        message(2, subtype="group_leave"),
        message(3, subtype="bot_message"),
        message(4, bot_id="B1", app_id="A1"),
        message(5, channel="C2"),
        message(6, user="U9"),
        edit(0, 7),
    ]
    async with asking(conninfo) as connection:
        ready = next(rule for rule in READY_RULES if rule.name == name)
        await add_rule(connection, ready.match(value), None)
    written = await store(conninfo, {f"Ev{n}": event for n, event in enumerate(events)})
    assert set(written.discarded) == {f"Ev{n}" for n in kept_away}


async def test_a_rule_shows_what_it_did(conninfo: str, database: psycopg.Connection[Any]) -> None:
    async with asking(conninfo) as connection:
        first = (await add_rule(connection, '$.subtype == "channel_join"', "joins")).id
        second = (await add_rule(connection, '$.user == "U9"', None)).id
        await store(conninfo, {f"Ev{n}": message(n, subtype="channel_join") for n in range(3)})
        database.execute(
            "insert into slack.import (source, options, instance, account, outcome, finished_at)"
            " values ('a.zip', '{}', 't', %s, 'done', now())",
            (Jsonb({"messages": {"discarded": {str(first): 5}}}),),
        )
        joins, user = await list_rules(connection)
    assert (joins.id, joins.readable, joins.note) == (first, '$.subtype == "channel_join"', "joins")
    assert (joins.hits, joins.last_hit, joins.imported) == (3, at(2), 5)
    assert joins.is_on
    assert joins.created_at is not None
    assert (datetime.now(UTC) - joins.created_at).total_seconds() < 60
    assert (user.id, user.hits, user.last_hit, user.imported) == (second, 0, None, 0)


async def test_a_rule_is_turned_off_and_on_and_removed(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', "me")).id
        assert await turn_rule_off(connection, rule)
        assert (await store(conninfo, {"Ev1": message(1)})).discarded == {}
        (off,) = await list_rules(connection)
        assert not off.is_on
        assert not await turn_rule_off(connection, rule)

        assert await turn_rule_on(connection, rule)
        assert (await store(conninfo, {"Ev2": message(2)})).discarded == {"Ev2": rule}
        (on,) = await list_rules(connection)
        assert (on.is_on, on.created_at, on.note) == (True, off.created_at, "me")

        await remove_rule(connection, rule)
        assert (await store(conninfo, {"Ev3": message(3)})).discarded == {}
        assert await list_rules(connection) == []
        removed = await find_rule(connection, rule)
        assert removed is not None
        assert (removed.is_removed, removed.hits) == (True, 1)
        for change in (turn_rule_on, turn_rule_off, remove_rule):
            with pytest.raises(NoSuchRule):
                await change(connection, rule)
        again = (await add_rule(connection, '$.user == "U1"', None)).id
        assert again > rule
        await turn_rule_off(connection, again)
        await remove_rule(connection, again)
        assert await list_rules(connection) == []


async def test_a_rule_that_was_inserted_by_hand_counts_as_well(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("insert into slack.message_discard (match) values ('$.user == \"U1\"')")
    await store(conninfo, {"Ev1": message(1)})
    async with asking(conninfo) as connection:
        assert [rule.hits for rule in await list_rules(connection)] == [1]


async def test_every_instance_applies_a_rule_at_once(conninfo: str, tmp_path: Path) -> None:
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path / "one")) as one,
        running(make_engine(slack, conninfo, tmp_path / "two")) as two,
        asking(conninfo) as connection,
    ):

        async def send(first: int) -> None:
            for n in range(first, first + 40):
                payload = {"team_id": "T1", "type": "event_callback", "event": message(n)}
                await slack.send(payload | {"event_id": f"Ev{n}", "event_time": 1})
            await delivered(slack, one)
            await delivered(slack, two)

        await send(0)
        rule = (await add_rule(connection, '$.user == "U1"', None)).id
        await send(40)
        await turn_rule_off(connection, rule)
        await send(80)
        assert one.snapshot().received > 0
        assert two.snapshot().received > 0
        discarded = [e.snapshot().outcomes.get(("message", "discarded"), 0) for e in (one, two)]
    assert sum(discarded) == 40
    assert min(discarded) > 0
    assert count(conninfo, "select count(*) from slack.message") == 80


async def test_a_preview_counts_what_would_be_dropped(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.text == "text 3"', None)).id
    events = [message(n, user="U1" if n % 2 else "U2") for n in range(10)]
    events += [edit(2, 20, user="U1"), deletion(4, 21), message(0, ts=ts_of(30), thread_ts="x")]
    await store(conninfo, {f"Ev{n}": event for n, event in enumerate(events)})
    found = await preview(conninfo, '$.user == "U1"', examples=3)
    # Stored are 10 messages without the discarded and the deleted one; 1, 5, 7, 9 and the edited 2 are from U1.
    assert (found.stored.tested, found.stored.matched) == (8, 5)
    # Recent are 10 messages and an edit. The deletion is not a message.
    assert (found.recent.tested, found.recent.matched, found.recent.known) == (11, 6, 1)
    assert found.is_whole
    assert [example.text for example in found.recent.examples] == ["edit at 20", "text 9", "text 7"]
    assert found.stored.examples[0].channel_id == "C1"
    later = await preview(conninfo, '$.user == "U1"', since=at(6))
    assert (later.stored.tested, later.recent.tested) == (4, 5)
    assert rule


def ts_of(number: int) -> str:
    return f"{number}.x"  # PostgreSQL refuses it, so it is not part of a preview


async def test_a_preview_is_limited_and_says_so(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    fill(database, 12_000)
    most = await preview(conninfo, "$.ts != null", most=7000)
    assert (most.stored.tested, most.recent.tested, most.is_whole) == (7000, 0, False)
    assert most.stored.matched == 7000
    whole = await preview(conninfo, "$.ts != null", most=None)
    assert (whole.stored.matched, whole.is_whole, whole.is_out_of_time) == (12_000, True, False)
    with database.transaction():
        database.execute("lock table slack.message in access exclusive mode")
        short = await preview(conninfo, "$.ts != null", most=None, seconds=0.3)
    assert (short.is_out_of_time, short.is_whole, short.stored.tested) == (True, False, 0)


async def test_a_preview_can_be_cancelled(conninfo: str, database: psycopg.Connection[Any]) -> None:
    async with asking(conninfo) as connection:
        with database.transaction():
            database.execute(
                "lock table slack.message in access exclusive mode"
            )  # the preview has to wait
            growing = previews(connection, "$.ts != null", since=EVER, seconds=60)
            task = asyncio.ensure_future(anext(growing))
            await asyncio.sleep(0.3)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 60)  # the lock is held longer
            assert await (await connection.execute("select 1")).fetchone() == (1,)


def fill(database: psycopg.Connection[Any], messages: int) -> None:
    database.execute(
        "insert into slack.message (ts, channel_id, event_ts, text, type)"
        " select now() - n * interval '1 second', 'C' || n %% 7, now(), repeat('x', 80), 'message'"
        " from generate_series(1, %s) n",
        (messages,),
    )


leaf = st.sampled_from(
    ["$.a == 1", '$.b == "x"', "exists($.c)", "$.d > 1", '$.b like_regex "^[xy]"', "!($.a == 2)"]
)
predicate = st.recursive(
    leaf,
    lambda parts: st.builds(
        lambda x, operator, y: f"({x}) {operator} ({y})",
        parts,
        st.sampled_from(["&&", "||"]),
        parts,
    ),
    max_leaves=6,
)
document = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from([1, 2, "1", None]),
        "b": st.sampled_from(["x", "y", "z"]),
        "c": st.none() | st.just([]),
        "d": st.sampled_from([0, 2, "2"]),
    },
)


@settings(
    max_examples=75 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(predicate, document)
def test_conditions_hold_exactly_where_the_rule_matches(
    database: psycopg.Connection[Any], match: str, content: dict[str, Any]
) -> None:
    def matches(condition: str) -> bool:
        row = database.execute(
            "select coalesce(jsonb_path_match(%s, %s::jsonpath, silent => true), false)",
            (Jsonb(content), condition),
        ).fetchone()
        return bool(row and row[0])

    row = database.execute("select %s::jsonpath::text", (match,)).fetchone()
    assert row is not None
    tree = parse(row[0])
    holds = {text: matches(text) for text in conditions(tree)}
    assert bool(holding(tree, holds)) == matches(match)

"""A rule that fails on a message does not match it. The failure is counted, and no message is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.archives import export, run_import, write_folder
from tests.auditing import asking, at, message, store, ts
from tests.integration.test_rules import preview
from tests.support import count
from tiger_slack_tui.audit.conditions import met_conditions
from tiger_slack_tui.audit.replay import replay
from tiger_slack_tui.audit.rules import (
    RuleRefused,
    add_rule,
    check_rule,
    turn_rule_off,
    turn_rule_on,
)
from tiger_slack_tui.store.replay import ReplaySelection
from tiger_slack_tui.store.rules import Rule, list_rules

ZONES = '$.when.datetime() < "2024-01-01T00:00:00".datetime()'
"""Fails with 0A000 if the message's time has a zone. `silent` does not suppress that error."""
WITH_ZONE, WITHOUT = "2023-01-01T00:00:00+00:00", "2023-01-01T00:00:00"
MESSAGES = "select count(*) from slack.message"


async def only_rule(conninfo: str) -> Rule:
    async with asking(conninfo) as connection:
        (rule,) = await list_rules(connection)
    return rule


async def make(conninfo: str, match: str) -> int:
    async with asking(conninfo) as connection:
        return (await add_rule(connection, match, None)).id


def some() -> list[dict[str, Any]]:
    """Ten messages. The rule fails on three and matches two."""
    when = {1: WITH_ZONE, 4: WITH_ZONE, 9: WITH_ZONE, 2: WITHOUT, 7: WITHOUT}
    return [message(n, when=when.get(n)) for n in range(10)]


async def test_a_live_event(conninfo: str) -> None:
    rule = await make(conninfo, ZONES)
    written = await store(conninfo, {f"Ev{n}": event for n, event in enumerate(some())})
    assert (written.failed, written.discarded) == ({}, {"Ev2": rule, "Ev7": rule})
    assert count(conninfo, MESSAGES) == 8
    found = await only_rule(conninfo)
    assert (found.hits, found.failures, found.sqlstate) == (2, 3, "0A000")
    assert found.failed_at is not None
    assert "time zone" in (found.failure or "")
    await store(conninfo, {"Ev1": some()[1]})  # delivered again
    assert (await only_rule(conninfo)).failures == 3


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import(conninfo: str, tmp_path: Path, dry_run: bool) -> None:
    rule = await make(conninfo, ZONES)
    path = write_folder(tmp_path, export({"general": {"2023-11-14": some()}}))
    total = (await run_import(conninfo, path, dry_run=dry_run)).result.total
    assert (total.read, total.inserted, total.discarded) == (10, 8, {str(rule): 2})
    assert count(conninfo, MESSAGES) == (0 if dry_run else 8)
    assert (await only_rule(conninfo)).failures == (0 if dry_run else 3)


async def test_a_replay_and_a_call_by_hand(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    first = await make(conninfo, "exists($.when)")
    await store(conninfo, {f"Ev{n}": event for n, event in enumerate(some())})
    async with asking(conninfo) as connection:
        await turn_rule_off(connection, first)
        second = (await add_rule(connection, ZONES, None)).id
        reports = [report async for report in replay(connection, ReplaySelection(rule=first))]
        failing = next(r for r in await list_rules(connection) if r.id == second)
    assert reports[-1].changes == {("discarded", "stored"): 3, ("discarded", "discarded"): 2}
    assert failing.failures == 3
    values = [(Jsonb(message(20 + n, when=when)),) for n, when in enumerate((WITH_ZONE, WITHOUT))]
    said = [
        database.execute("select slack.insert_message(%s)", value).fetchone() for value in values
    ]
    assert said == [("stored",), ("discarded",)]


async def test_a_preview_and_why(conninfo: str) -> None:
    await store(conninfo, {f"Ev{n}": event for n, event in enumerate(some())})
    found = await preview(conninfo, ZONES)
    assert (found.recent.tested, found.recent.matched, found.recent.failed) == (10, 2, 3)
    assert (found.failed, found.sqlstate) == (3, "0A000")
    assert [example.at for example in found.recent.examples] == [at(7), at(2)]
    async with asking(conninfo) as connection:
        canonical = await check_rule(connection, ZONES)
        for event, n in ((WITH_ZONE, 0), (WITHOUT, 1)):
            assert len(await met_conditions(connection, canonical, f'{{"when": "{event}"}}')) == n


async def test_the_rules_after_it_still_apply(conninfo: str) -> None:
    failing = await make(conninfo, ZONES)
    other = await make(conninfo, '$.text == "text 4" || $.text == "text 7"')
    written = await store(conninfo, {f"Ev{n}": event for n, event in enumerate(some())})
    assert written.discarded == {"Ev2": failing, "Ev7": failing, "Ev4": other}


async def test_every_error_of_a_rule_is_handled(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    """No error loses a message."""
    deep: Any = "x"
    for _ in range(180):
        deep = [deep]
    odd = [deep, 1e308, -1, "9999-99-99", "24:61", {"a": None}, [], None, "x" * 100_000]
    for match in (
        "$.when * $.when > 1",
        "1 / $.when > 0",
        "$.when.double() > 0",
        "$.when.datetime() > $.when.datetime()",
        'exists($.when.** ? (@ like_regex "(x+x+)+y"))',
        "$.when[$.when] == 1",
        "strict $.when.a.b == 1",
        "$.when.keyvalue().id > 0",
    ):
        await make(conninfo, match)
    events = {f"Ev{n}": message(n, when=when) for n, when in enumerate(odd)}
    written = await asyncio.wait_for(store(conninfo, events), 60)
    assert (written.failed, len(written.new)) == ({}, len(odd))


async def test_a_rule_that_can_never_work_is_refused(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        for match in (
            '"2024-01-01".datetime() < "2024-01-01T00:00:00+00:00".datetime()',
            '$.text like_regex "a" flag "x"',
        ):
            with pytest.raises(RuleRefused):
                await add_rule(connection, match, None)


async def test_failures_stay_with_a_rule_that_is_turned_off_and_on(conninfo: str) -> None:
    rule = await make(conninfo, ZONES)
    await store(conninfo, {"Ev1": some()[1]})
    async with asking(conninfo) as connection:
        await turn_rule_off(connection, rule)
        assert (await only_rule(conninfo)).failures == 1
        await turn_rule_on(connection, rule)
    await store(conninfo, {"Ev4": some()[4]})
    assert (await only_rule(conninfo)).failures == 2


async def test_concurrent_failures_of_several_instances(conninfo: str) -> None:
    await make(conninfo, ZONES)
    await make(conninfo, ZONES + " && $.a == 1")
    parts = [
        {
            f"Ev{part}-{n}": message(part * 100 + n, when=WITH_ZONE, ts=ts(part * 100 + n))
            for n in range(20)
        }
        for part in range(8)
    ]
    written = await asyncio.gather(*(store(conninfo, part) for part in parts))
    assert all(not one.failed for one in written)
    async with asking(conninfo) as connection:
        assert [rule.failures for rule in await list_rules(connection)] == [160, 160]


async def test_no_transaction_waits_for_another_that_counts_failures(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    """A rule that fails often must not make writers wait for each other, including dry runs of replays."""
    await make(conninfo, ZONES)
    counted = Jsonb([{"rule_id": 1, "failures": 1, "sqlstate": "0A000"}])
    for n in range(4):
        with database.transaction():
            database.execute("select slack.count_rule_failures(%s)", (counted,))
            event = message(n, when=WITH_ZONE)
            written = await asyncio.wait_for(store(conninfo, {f"Ev{n}": event}), 30)
            assert written.new == {f"Ev{n}"}
    assert (await only_rule(conninfo)).failures == 8
    assert count(conninfo, "select count(*) from slack.message_discard_failure") == 2


def test_each_error_belongs_to_its_message(database: psycopg.Connection[Any]) -> None:
    """An error must have the position of its message in the array."""
    row = database.execute(
        "select array_lower(m.errors, 1), cardinality(m.errors), m.errors[3] is not null"
        " from slack.matches(array['{}', '{}', '{\"t\": \"2023-11-14\"}']::jsonb[],"
        " '$.t.datetime() < \"2023-11-14T00:00:00+00\".datetime()') m"
    ).fetchone()
    assert row == (1, 3, True)

"""Events with wrong times, from wrong clocks, are replayed and tested as well."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.auditing import asking, message, store
from tests.support import count
from tiger_slack_tui.audit.preview import Preview, previews
from tiger_slack_tui.audit.replay import replay
from tiger_slack_tui.audit.rules import add_rule, remove_rule
from tiger_slack_tui.cli.queries import last
from tiger_slack_tui.store.replay import ReplaySelection

LATER = {
    "a wrong clock of the machine": "update slack.event set received_at = now() + interval '3 days'",
    "a wrong clock of Slack": "update slack.event set event_ts = now() + interval '3 days'",
    "a time beyond ours": "update slack.event set event_ts = slack.to_timestamptz('999999999999.000100')",
    "a time before ours": "update slack.event set event_ts = '0044-03-15 BC'",
}


@pytest.mark.parametrize("statement", LATER.values(), ids=LATER.keys())
async def test_an_event_of_any_time_is_replayed(
    conninfo: str, database: psycopg.Connection[Any], statement: str
) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', "wrong")).id
        await store(conninfo, {"Ev1": message(1), "Ev2": message(2)})
        database.execute(statement.encode())
        await remove_rule(connection, rule)
        reports = [report async for report in replay(connection, ReplaySelection(rule=rule))]
    assert [report.changes for report in reports] == [{("discarded", "stored"): 2}]
    assert count(conninfo, "select count(*) from slack.message") == 2


async def test_a_rule_is_tested_on_messages_of_the_future(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    async with asking(conninfo) as connection:
        await store(conninfo, {"Ev1": message(1)})
        database.execute("update slack.message set ts = now() + interval '3 days'")
        since = datetime(2020, 1, 1, tzinfo=UTC)
        found = await last(previews(connection, '$.user == "U1"', since=since), Preview(since))
    assert found.stored.matched == 1


async def test_events_that_arrive_during_a_replay_do_not_prolong_it(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', "still on")).id
        await store(conninfo, {"Ev1": message(1)})
        replayed, number = 0, 1
        async for report in replay(connection, ReplaySelection(rule=rule)):
            number += 1
            assert number < 5
            await store(conninfo, {f"Ev{number}": message(number)})
            replayed = report.events
    assert replayed == 1

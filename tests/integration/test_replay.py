"""Replays: discarded and failed events are stored, and nothing else changes."""

from pathlib import Path
from typing import Any

import orjson
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.auditing import asking, at, deletion, edit, message, reaction, record, store, ts
from tests.integration.test_convergence import STATE, _record, clear, event
from tests.support import SCALE, count, delivered, make_engine, running
from tiger_slack_tui.audit.detail import EventDetail, fetch_event
from tiger_slack_tui.audit.replay import ReplayReport, replay
from tiger_slack_tui.audit.rules import add_rule, remove_rule
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.store.replay import ReplaySelection, unknown_events
from tiger_slack_tui.store.rules import list_rules


async def replayed(conninfo: str, *, dry_run: bool = False, **selection: Any) -> ReplayReport:
    async with asking(conninfo) as connection:
        reports = replay(connection, ReplaySelection(**selection), dry_run=dry_run)
        return [report async for report in reports][-1]


async def detail(conninfo: str, event_id: str) -> EventDetail:
    async with asking(conninfo) as connection:
        found = await fetch_event(connection, event_id)
    assert found is not None
    return found


def texts(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as connection:
        return [row[0] for row in connection.execute("select text from slack.message order by ts")]


async def test_what_a_wrong_rule_dropped_comes_back(conninfo: str, tmp_path: Path) -> None:
    async with (
        LocalSlack() as slack,
        running(make_engine(slack, conninfo, tmp_path)) as engine,
        asking(conninfo) as connection,
    ):

        async def send(**events: dict[str, Any]) -> None:
            for event_id, content in events.items():
                payload = {"team_id": "T1", "type": "event_callback", "event_time": 1}
                await slack.send(payload | {"event_id": event_id, "event": content})
            await delivered(slack, engine)

        rule = (await add_rule(connection, '$.user == "U1"', "wrong")).id
        await send(Ev1=message(1), Ev2=message(2, user="U2"), Ev3=reaction(1, 3), Ev4=edit(1, 4))
        await send(Ev5=message(5), Ev6=deletion(5, 6))
        assert texts(conninfo) == ["text 2"]
        await remove_rule(connection, rule)
        assert texts(conninfo) == ["text 2"]

        dry = await replayed(conninfo, rule=rule, dry_run=True)
        assert dry.changes == {("discarded", "stored"): 3}
        assert texts(conninfo) == ["text 2"]
        assert await replayed(conninfo, rule=rule) == dry
        # The message has its edit and its reaction. The one that was deleted meanwhile does not come back.
        assert texts(conninfo) == ["edit at 4", "text 2"]
        shown = "select count(*) from slack.message where jsonb_array_length(reactions) = 1"
        assert count(conninfo, shown) == 1
        # More live events arrive, and nothing is stored twice.
        await send(Ev7=message(7))
        assert (await replayed(conninfo, rule=rule)).events == 0
        assert await list_rules(connection) == []
    found = await detail(conninfo, "Ev1")
    assert (found.outcome, found.rule_id) == ("stored", None)
    assert [(r.outcome, r.discard_id) for r in found.replays] == [("discarded", rule)]


async def test_present_rules_decide_and_what_is_stored_stays(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        first = (await add_rule(connection, '$.user == "U1"', None)).id
        await store(conninfo, {"Ev1": message(1), "Ev2": message(2, user="U2")})
        second = (await add_rule(connection, '$.channel == "C1"', None)).id
        await remove_rule(connection, first)
    report = await replayed(conninfo, event_ids=("Ev1", "Ev2"))
    assert report.changes == {("discarded", "discarded"): 1, ("stored", "stored"): 1}
    assert (await detail(conninfo, "Ev1")).rule_id == second
    stored = await detail(conninfo, "Ev2")
    assert (stored.outcome, stored.rule_id, len(stored.replays)) == ("stored", None, 1)
    assert texts(conninfo) == ["text 2"]


async def test_what_failed_comes_back_once_its_cause_is_fixed(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("alter table slack.message add constraint mended check (text <> 'text 2')")
    await store(conninfo, {f"Ev{n}": message(n) for n in (1, 2, 3)})
    failing = await replayed(conninfo, failed=True)
    assert failing.changes == {("failed", "failed"): 1}
    assert [(event.event_id, event.reason) for event in failing.refused] == [("Ev2", "23514")]
    database.execute("alter table slack.message drop constraint mended")
    assert (await replayed(conninfo, failed=True)).changes == {("failed", "stored"): 1}
    found = await detail(conninfo, "Ev2")
    assert (found.outcome, found.error, found.message_ts) == ("stored", None, at(2))
    assert [replay.outcome for replay in found.replays] == ["failed", "failed"]
    assert found.replays[0].error is not None
    assert texts(conninfo) == ["text 1", "text 2", "text 3"]
    assert (await replayed(conninfo, failed=True)).events == 0


async def test_a_refused_event_does_not_affect_the_others(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', None)).id
        await store(conninfo, {f"Ev{n:02}": message(n) for n in range(30)})
        await remove_rule(connection, rule)
    database.execute("alter table slack.message add constraint bad check (text <> 'text 17')")
    report = await replayed(conninfo, rule=rule)
    assert report.changes == {("discarded", "stored"): 29, ("discarded", "failed"): 1}
    assert (await detail(conninfo, "Ev17")).outcome == "failed"
    assert count(conninfo, "select count(*) from slack.message") == 29


async def test_an_event_that_was_stored_as_text_is_parsed_again(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("alter table slack.event add constraint no check (event ? 'unstorable')")
    await store(conninfo, {"Ev1": message(1)})
    assert "unstorable" in (await detail(conninfo, "Ev1")).event
    database.execute("alter table slack.event drop constraint no")
    assert (await replayed(conninfo, failed=True)).changes == {("failed", "stored"): 1}
    assert (await detail(conninfo, "Ev1")).event == message(1)
    assert texts(conninfo) == ["text 1"]


async def test_a_malformed_frame_stays_failed(conninfo: str) -> None:
    await store(conninfo, {})
    async with asking(conninfo) as connection:
        malformed = orjson.loads(record("Ev1", {"event_ts": ts(1)})) | {
            "outcome": "failed",
            "error": {"class": "MalformedEvent", "message": "the envelope has no payload"},
        }
        batch = orjson.dumps([malformed]).decode()
        await connection.execute("select slack.ingest(%s::jsonb)", (batch,))
    assert (await replayed(conninfo, failed=True)).changes == {("failed", "failed"): 1}
    found = await detail(conninfo, "Ev1")
    assert found.error == {"class": "MalformedEvent", "message": "the envelope has no payload"}


async def test_ids_that_were_never_delivered_are_reported(conninfo: str) -> None:
    await store(conninfo, {"Ev1": message(1)})
    async with asking(conninfo) as connection:
        assert await unknown_events(connection, ("Ev1", "Ev0")) == ("Ev0",)
    assert (await replayed(conninfo, event_ids=("Ev0",))).events == 0


async def test_a_replay_of_several_transactions(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        rule = (await add_rule(connection, '$.user == "U1"', None)).id
        await store(conninfo, {f"Ev{n}": message(n % 90, channel=f"C{n}") for n in range(450)})
        await remove_rule(connection, rule)
        sizes = [report.events async for report in replay(connection, ReplaySelection(rule=rule))]
    assert sizes == [200, 400, 450]
    assert count(conninfo, "select count(*) from slack.message") == 450


@settings(
    max_examples=15 * SCALE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(event, min_size=1, max_size=10), st.data())
async def test_replaying_any_subset_in_any_order_leaves_the_same_tables(
    conninfo: str,
    database: psycopg.Connection[Any],
    events: list[dict[str, Any]],
    data: st.DataObject,
) -> None:
    clear(database)
    names = [f"Ev{n:02d}" for n in range(len(events))]
    for name, content in zip(names, events, strict=True):
        batch = b"[" + _record(name, content) + b"]"
        database.execute("select slack.ingest(%s::jsonb)", (batch.decode(),))
    before = _state(database)
    again = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=6), label="replayed")
    async with asking(conninfo) as connection:
        for name in again:
            async for report in replay(connection, ReplaySelection(event_ids=(name,))):
                assert report.events == 1
        async for _ in replay(connection, ReplaySelection(event_ids=tuple(set(again)))):
            pass
    assert _state(database) == before


def _state(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    return {table: connection.execute(query.encode()).fetchall() for table, query in STATE.items()}

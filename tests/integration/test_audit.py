"""The readers of the audit trail: lists, single events, the trail of a message."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.auditing import asking, at, deletion, edit, message, reaction, record, store, ts
from tiger_slack_tui.audit.detail import EventDetail, fetch_event
from tiger_slack_tui.audit.follow import begin_following, follow
from tiger_slack_tui.audit.rules import add_rule, remove_rule
from tiger_slack_tui.audit.why import Effect, MessageTrail, Verdict, fetch_message_trail, read_spool
from tiger_slack_tui.base.name_patterns import NameUnknown
from tiger_slack_tui.ingest.spool.spool import Spool
from tiger_slack_tui.store.audit_events import (
    EventFilter,
    EventPosition,
    EventRow,
    fetch_page,
    filter_conditions,
)
from tiger_slack_tui.store.names import (
    find_channel,
    find_channels,
    find_types,
    find_user,
    find_users,
)

ANN = {"display_name": "Ann B."}
EVENTS = {
    "Ev1": message(1),
    "Ev2": message(2, channel="C2", subtype="channel_join"),
    "Ev3": reaction(1, 3),
    "Ev4": {"type": "app_mention", "channel": "C1", "user": "U1", "event_ts": ts(4), "text": "x"},
    "Ev5": {"type": "emoji_changed", "event_ts": ts(5)},
    "Ev6": message(6, text="refused"),
    "Ev7": {
        "type": "user_change",
        "user": {"id": "U1", "name": "ann", "profile": ANN},
        "event_ts": ts(7),
    },
    "Ev8": {"type": "channel_created", "channel": {"id": "C1", "name": "ops"}, "event_ts": ts(8)},
}


async def ids(conninfo: str, **wanted: Any) -> list[str]:
    async with asking(conninfo) as connection:
        return [row.event_id for row in (await fetch_page(connection, EventFilter(**wanted))).rows]


async def trail(conninfo: str, number: int, **options: Any) -> MessageTrail:
    async with asking(conninfo) as connection:
        return await fetch_message_trail(connection, "C1", ts(number), **options)


async def detail(conninfo: str, event_id: str) -> EventDetail:
    async with asking(conninfo) as connection:
        found = await fetch_event(connection, event_id)
    assert found is not None
    return found


async def stored(conninfo: str, rule: str = '$.subtype == "channel_join"') -> int:
    """Ingest EVENTS under a rule, and return the rule's number."""
    async with asking(conninfo) as connection:
        made = (await add_rule(connection, rule, None)).id
        await connection.execute(
            "alter table slack.message add constraint refusing check (text <> 'refused')"
        )
    await store(conninfo, EVENTS)
    return made


async def test_events_are_filtered(conninfo: str) -> None:
    rule = await stored(conninfo)
    assert await ids(conninfo) == [f"Ev{n}" for n in range(8, 0, -1)]
    assert await ids(conninfo, outcome="stored") == ["Ev8", "Ev7", "Ev3", "Ev1"]
    assert await ids(conninfo, outcome="discarded") == ["Ev2"]
    assert await ids(conninfo, outcome="audit") == ["Ev4"]
    assert await ids(conninfo, outcome="unrouted") == ["Ev5"]
    assert await ids(conninfo, outcome="failed") == ["Ev6"]
    assert await ids(conninfo, types=("message",), outcome="stored") == ["Ev1"]
    assert await ids(conninfo, channel_ids=("C2",)) == ["Ev2"]
    assert await ids(conninfo, channel_ids=("C1",), user_ids=("U2",)) == ["Ev3"]
    assert await ids(conninfo, rule=rule) == ["Ev2"]
    assert await ids(conninfo, since=at(7)) == ["Ev8", "Ev7"]
    assert await ids(conninfo, since=at(6), until=at(8)) == ["Ev7", "Ev6"]
    assert await ids(conninfo, channel_ids=("C2", "C1"), types=("message",)) == [
        "Ev6",
        "Ev2",
        "Ev1",
    ]
    assert await ids(conninfo, text="EXT 1") == ["Ev1"]
    assert await ids(conninfo, text="%") == []
    async with asking(conninfo) as connection:
        page = await fetch_page(connection, EventFilter())
    rows = {row.event_id: row for row in page.rows}
    assert (rows["Ev1"].channel_name, rows["Ev1"].user_name) == ("ops", "Ann B.")
    assert (rows["Ev1"].text, rows["Ev3"].text) == ("text 1", "eyes")
    assert (rows["Ev2"].discard_id, rows["Ev6"].error) == (rule, "23514")


async def test_pages_contain_each_event_once(conninfo: str) -> None:
    same = {
        f"Ev{n:03}": message(n // 5, channel=f"C{n}") for n in range(100)
    }  # five have the same time
    await store(conninfo, same)
    seen: list[EventRow] = []
    before: EventPosition | None = None
    async with asking(conninfo) as connection:
        while True:
            page = await fetch_page(
                connection, EventFilter(user_ids=("U1",)), before=before, most=7
            )
            seen += page.rows
            before = page.next
            if before is None:
                break
    assert len({row.event_id for row in seen}) == len(seen) == 100
    assert seen == sorted(seen, key=lambda row: (row.event_ts, row.id), reverse=True)


async def test_a_page_that_ends_with_the_last_event_is_the_last_page(conninfo: str) -> None:
    await store(conninfo, {f"Ev{n}": message(n) for n in range(4)})
    async with asking(conninfo) as connection:
        page = await fetch_page(connection, EventFilter(), most=4)
    assert (len(page.rows), page.next) == (4, None)


async def test_what_comes_between_the_newest_events_and_the_first_look_is_followed(
    conninfo: str,
) -> None:
    await store(conninfo, {"Ev0": message(0)})
    async with asking(conninfo) as connection:
        newest, position = await begin_following(connection, EventFilter(), most=9)
        await store(conninfo, {"Ev1": message(1)})
        rows = await anext(follow(connection, EventFilter(), position=position))
    assert [row.event_id for row in (*newest, *rows)] == ["Ev0", "Ev1"]


async def test_following_shows_late_events_and_late_commits_once(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    await store(conninfo, {"Ev0": message(50)})
    seen: list[str] = []
    async with asking(conninfo) as connection:

        async def watch() -> None:
            async for rows in follow(connection, EventFilter(types=("message",)), pause=0.05):
                seen.extend(row.event_id for row in rows)

        async def wait_for(n: int) -> None:
            async with asyncio.timeout(10):
                while len(seen) < n:
                    await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.2)
        with database.transaction():  # gets its id first, and commits last
            batch = b"[" + record("Ev1", message(1)) + b"]"
            database.execute("select slack.ingest(%s::jsonb)", (batch.decode(),))
            await store(conninfo, {"Ev2": message(2, channel="C2"), "Ev3": EVENTS["Ev5"]})
            await wait_for(1)
        await wait_for(2)
        await asyncio.sleep(0.2)
        watching.cancel()
    assert seen == ["Ev2", "Ev1"]


async def test_an_event_shows_its_rule_and_the_conditions_that_matched(conninfo: str) -> None:
    rule = await stored(conninfo, '$.user == "U9" || $.subtype == "channel_join"')
    found = await detail(conninfo, "Ev2")
    assert (found.outcome, found.rule_id) == ("discarded", rule)
    assert found.rule is not None
    assert not found.rule.is_removed
    assert [(match.condition, match.found) for match in found.matched] == [
        ('$.subtype == "channel_join"', ("channel_join",))
    ]
    assert [row.state for row in found.rows] == ["missing"]
    async with asking(conninfo) as connection:
        await remove_rule(connection, rule)
    removed = await detail(conninfo, "Ev2")
    assert removed.rule is not None
    assert removed.rule.is_removed
    assert removed.matched == found.matched


async def test_an_event_shows_its_error_deliveries_and_lateness(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    await stored(conninfo)
    await store(conninfo, {"Ev6": EVENTS["Ev6"]})
    found = await detail(conninfo, "Ev6")
    assert found.error is not None
    assert (found.error["sqlstate"], found.outcome) == ("23514", "failed")
    assert found.error["diagnostics"]["constraint_name"] == "refusing"
    assert (found.deliveries, found.received_at - found.event_ts) == (2, timedelta(seconds=0.5))
    # Its subject is stored where PostgreSQL can hold it, so that lists and trails find it.
    assert (found.channel_id, found.user_id, found.message_ts) == ("C1", "U1", at(6))
    assert found.event == EVENTS["Ev6"]


async def test_an_event_shows_the_row_that_it_is_about(conninfo: str) -> None:
    await stored(conninfo)
    await store(conninfo, {"Ev9": edit(1, 9)})
    rows = {event_id: (await detail(conninfo, event_id)).rows for event_id in [*EVENTS, "Ev9"]}
    states = {id_: [(row.table, row.state) for row in found] for id_, found in rows.items()}
    assert states == {
        "Ev1": [("message", "newer")],
        "Ev2": [("message", "missing")],
        "Ev3": [("reaction", "content")],
        "Ev4": [],
        "Ev5": [],
        "Ev6": [("message", "missing")],
        "Ev7": [("user", "merged")],
        "Ev8": [("channel", "merged")],
        "Ev9": [("message", "content")],
    }
    assert rows["Ev3"][0].key == ("C1", ts(1), "U2", "eyes")
    await store(conninfo, {"Ev10": deletion(1, 10)})
    assert [row.state for row in (await detail(conninfo, "Ev1")).rows] == ["deleted"]


async def test_an_event_that_was_never_delivered(conninfo: str) -> None:
    async with asking(conninfo) as connection:
        assert await fetch_event(connection, "Ev0") is None


async def test_why_shows_what_each_event_did(conninfo: str) -> None:
    await store(conninfo, {"Ev4": edit(1, 4), "Ev1": message(1), "Ev3": reaction(1, 3)})
    found = await trail(conninfo, 1)
    assert found.verdict is Verdict.STORED
    assert found.message is not None
    assert (found.message.text, found.message.is_live) == ("edit at 4", True)
    assert [(event.event_id, event.did) for event in found.events] == [
        ("Ev1", Effect.OLDER),
        ("Ev3", Effect.REACTION),
        ("Ev4", Effect.CONTENT),
    ]
    await store(conninfo, {"Ev5": deletion(1, 5)})
    found = await trail(conninfo, 1)
    assert (found.verdict, found.deleted_at) == (Verdict.DELETED, at(5))
    assert [event.did for event in found.events] == [
        Effect.DELETED_SINCE,
        Effect.REACTION,
        Effect.DELETED_SINCE,
        Effect.DELETED,
    ]


async def test_why_a_message_is_not_stored(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    rule = await stored(conninfo, '$.text == "text 11"')
    await store(conninfo, {"Ev11": message(11), "Ev12": reaction(12, 13), "Ev14": message(14)})
    database.execute("delete from slack.message where ts = %s", (at(14),))
    discarded = await trail(conninfo, 11)
    assert discarded.verdict is Verdict.DISCARDED
    assert [r.id for r in discarded.rules] == [rule]
    failed = await trail(conninfo, 6)
    assert (failed.verdict, failed.events[0].error) == (Verdict.FAILED, "23514")
    assert (await trail(conninfo, 12)).verdict is Verdict.AUDIT_ONLY
    assert (await trail(conninfo, 14)).verdict is Verdict.LOST_ROW
    assert (await trail(conninfo, 15)).verdict is Verdict.NEVER_DELIVERED
    assert (await trail(conninfo, -15)).verdict is Verdict.BEFORE_TRAIL

    spool = Spool(tmp_path)
    await spool.open()
    waiting = [record("Ev15", message(15)), record("Ev16", message(16))]
    await spool.append(waiting, oldest=0)
    read = await read_spool(tmp_path, ts(15))
    assert [each.event.event_id for each in read] == ["Ev15"]
    assert len(await read_spool(tmp_path, ts(15), is_second=True)) >= 1
    spooled = await trail(conninfo, 15, spooled=read)
    assert spooled.verdict is Verdict.SPOOLED
    assert [event.event_id for event in spooled.spooled] == ["Ev15"]
    await store(conninfo, {"Ev15": message(15)})
    assert (await trail(conninfo, 15, spooled=read)).spooled == ()  # it was drained since
    await spool.close()


async def test_why_shows_the_gap(conninfo: str, database: psycopg.Connection[Any]) -> None:
    database.execute(
        "create table if not exists slack.gap (id int8 generated always as identity, reason text not null"
        ", started_at timestamptz not null, ended_at timestamptz, channel_id text, closed_at timestamptz)"
    )
    gaps = (
        (at(10), at(20), None),
        (at(12), None, "C2"),
        (at(15), at(16), "C1"),
        (at(100), None, None),
    )
    for gap in gaps:
        database.execute(
            "insert into slack.gap (reason, started_at, ended_at, channel_id) values ('not connected', %s, %s, %s)",
            gap,
        )
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at) values ('by hand', %s, %s)",
        (at(0), at(300)),
    )
    found = {n: (await trail(conninfo, n)).gap for n in (5, 11, 15, 30, 200)}
    assert {n: gap and gap.started_at for n, gap in found.items()} == {
        5: None,
        11: at(10),
        15: at(15),  # the channel's own gap comes before that of all channels
        30: None,
        200: at(100),
    }
    asked = await trail(conninfo, 30)
    assert asked.backfill is not None
    assert (asked.backfill.started_at, asked.backfill.reason) == (at(0), "by hand")


async def test_why_distinguishes_an_import_from_a_row_added_by_hand(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "select slack.insert_message(%s::jsonb)",
        (f'{{"channel": "C1", "ts": "{ts(1)}", "text": "by hand"}}',),
    )
    by_hand = (await trail(conninfo, 1)).message
    assert by_hand is not None
    assert not by_hand.is_live
    assert not by_hand.is_imported
    database.execute("update slack.message set event_id = '00000020abc'")
    database.execute(
        "with i as (insert into slack.import (source, options, instance) values ('/a.zip', '{}', 't') returning id)"
        ", f as (insert into slack.import_file (import_id, path, size, crc, channel_id, position, is_done, account)"
        " select id, 'ops/2023-11-14.json', 9, 8, 'C1', 1, true, '{}' from i)"
        " insert into slack.import_content values"
        " ('C1', '2023-11-14.json', 9, 8, array[%(at)s], %(at)s, %(at)s, '{}')",
        {"at": at(1)},
    )
    found = await trail(conninfo, 1)
    assert found.message is not None
    assert found.message.is_imported
    assert found.import_file is not None
    assert (found.import_file.path, found.import_file.source) == ("ops/2023-11-14.json", "/a.zip")


async def test_channels_and_users_are_found_by_name(conninfo: str) -> None:
    await stored(conninfo)
    renamed = {"type": "channel_rename", "channel": {"id": "C1", "name": "new"}}
    await store(
        conninfo,
        {
            "Ev20": renamed | {"event_ts": ts(20)},
            "Ev21": EVENTS["Ev8"] | {"channel": {"id": "C7", "name": "new"}},
        },
    )
    async with asking(conninfo) as connection:
        assert await find_channel(connection, "C99") == "C99"
        assert await find_channel(connection, "#ops") == "C1"  # its earlier name
        assert await find_channel(connection, "https://acme.slack.com/archives/C99") == "C99"
        assert await find_channel(connection, "op*") == "C1"
        with pytest.raises(NameUnknown, match=r"Several channels match n\*\.\n.*C1, C7"):
            await find_channel(connection, "n*")
        assert await find_user(connection, "@ann") == "U1"
        with pytest.raises(NameUnknown, match="C1, C7"):
            await find_channel(connection, "new")
        with pytest.raises(NameUnknown, match="No user"):
            await find_user(connection, "bob")
        with pytest.raises(NameUnknown, match=r"No channel has the name opps\.\n.*#ops"):
            await find_channels(connection, ["opps"])
        with pytest.raises(NameUnknown, match=r"a pattern such as ops-\* \(\* stands for any text"):
            await find_channels(connection, ["payments"])
        assert await find_channels(connection, ["O*", "#ops", "c?"]) == ("C1", "C7")
        assert await find_users(connection, ["@a*"]) == ("U1",)
        assert await find_users(connection, ["ANN"]) == ("U1",)
        assert await find_channels(connection, ["new", "OPS"]) == ("C1", "C7")  # all of a name
        with pytest.raises(NameUnknown, match="No user matches z"):
            await find_users(connection, ["z*"])
        assert await find_types(connection, ["app_mention"]) == ("app_mention",)
        assert await find_types(connection, ["reaction_*"]) == (
            "reaction_added",
            "reaction_removed",
        )
        with pytest.raises(NameUnknown, match="Did you mean message"):
            await find_types(connection, ["mesage"])


def test_a_filter_has_only_the_conditions_that_it_needs() -> None:
    nothing = EventFilter()
    assert filter_conditions(nothing) == []
    assert len(filter_conditions(replace(nothing, rule=0, types=("",)))) == 2

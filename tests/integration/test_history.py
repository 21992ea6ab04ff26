"""The history of a channel is owed once the app joins it, and each channel is known to be complete since a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.archives import DAY, export, message, run_import, write_folder
from tiger_slack_tui.audit.why import fetch_message_trail
from tiger_slack_tui.audit.why_lines import why_lines
from tiger_slack_tui.base.ids import ChannelId, EventId, SlackTs
from tiger_slack_tui.base.outcome import Outcome
from tiger_slack_tui.imports.archive.plan import ImportSelection
from tiger_slack_tui.ingest.record import encode_record
from tiger_slack_tui.postgres.migrate.files import shipped_migrations
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.slack.events import Route, parse_envelope, route
from tiger_slack_tui.store import history
from tiger_slack_tui.store.directory import upsert
from tiger_slack_tui.store.events import EncodedEvent
from tiger_slack_tui.store.replay import replay_events

DAYS = 86_400
OWN = "U0TIGER"
_ids = itertools.count()


def event(kind: str, at: int, user: str = OWN, channel: str = "C1") -> dict[str, Any]:
    """A payload about a member, or of a channel that the app has left."""
    inner = {"type": kind, "channel": channel, "event_ts": f"{at}.000000"}
    if kind.startswith("member"):
        inner |= {"user": user, "channel_type": "C", "team": "T1"}
    return {
        "type": "event_callback",
        "team_id": "T1",
        "event_id": f"EvH{next(_ids)}",
        "authorizations": [{"team_id": "T1", "user_id": OWN, "is_bot": True}],
        "event": inner,
    }


def connected(database: psycopg.Connection[Any], since: str = "epoch") -> None:
    """An instance has been connected since then, by default since 1970."""
    database.execute(
        "with i as (insert into slack.instance (instance, version, host, pid, started_at, last_seen_at, status"
        ", status_since, queue, queue_limit, spool_events, spool_bytes, received, acked, events_per_second)"
        " values ('i', '1', 'h', 1, now(), now(), 'connected', now(), 0, 0, 0, 0, 0, 0, 0) returning id)"
        " insert into slack.connection (instance_id, connected_at, seen_at) select id, %s, now() from i",
        (since,),
    )


def killed(database: psycopg.Connection[Any]) -> None:
    """The instance was killed at 500."""
    database.execute("update slack.connection set seen_at = to_timestamp(500)")


def ingest(database: psycopg.Connection[Any], *payloads: Mapping[str, Any]) -> None:
    """Store the events as the pipeline does, one by one."""
    for payload in payloads:
        frame = {"envelope_id": "e", "type": "events_api", "payload": payload}
        envelope = parse_envelope(frame, received_at=payload["event"]["event_ts"] and 5e8)
        assert envelope
        batch = f"[{encode_record(envelope, route(envelope)).decode()}]"
        database.execute("select slack.ingest(%s::jsonb)", (batch,))


def joined(database: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """The gaps that joins have left: channel, begin, end and whether a backfill has closed them."""
    return database.execute(
        "select channel_id, extract(epoch from started_at)::int, extract(epoch from ended_at)::int"
        ", closed_at is not null"
        " from slack.gap where reason = 'joined' order by id"
    ).fetchall()


def owed(database: psycopg.Connection[Any]) -> list[tuple[int, int]]:
    """The periods of the channel's history that are owed or complete, put together."""
    return database.execute(
        "select extract(epoch from lower(p))::int, coalesce(extract(epoch from upper(p))::int, 0)"
        " from unnest(slack.complete_history('C1') + (select range_agg(tstzrange(g.started_at, g.ended_at))"
        " from slack.gap g where g.reason = 'joined')) p order by p"
    ).fetchall()


def complete(
    database: psycopg.Connection[Any], channel: str = "C1"
) -> tuple[int | None, int | None]:
    row = database.execute(
        "select extract(epoch from complete_since)::int, extract(epoch from complete_until)::int"
        " from slack.channel where id = %s",
        (channel,),
    ).fetchone()
    assert row
    return row


def gap(
    database: psycopg.Connection[Any], since: int, until: int | None, channel: str | None = None
) -> int:
    row = database.execute(
        "insert into slack.gap (reason, started_at, ended_at, channel_id)"
        " values ('not connected', to_timestamp(%s), to_timestamp(%s), %s) returning id",
        (since, until, channel),
    ).fetchone()
    assert row
    return int(row[0])


def test_only_the_apps_own_joins_count(database: psycopg.Connection[Any]) -> None:
    connected(database)
    ingest(database, event("member_joined_channel", 100, "U1"))
    assert joined(database) == []
    assert database.execute("select outcome from slack.event").fetchall() == [("audit",)]
    ingest(database, event("member_joined_channel", 200))
    assert joined(database) == [("C1", 0, 200, False)]
    assert complete(database) == (200, None)


JOIN, LEFT, AGAIN = (
    ("member_joined_channel", 100),
    ("channel_left", 200),
    ("member_joined_channel", 300),
)


@pytest.mark.parametrize("order", list(itertools.permutations([JOIN, LEFT, AGAIN])))
def test_any_order_of_joins_leaves_the_same_debt(
    database: psycopg.Connection[Any], order: tuple[tuple[str, int], ...]
) -> None:
    connected(database)
    payloads = [event(kind, at) for kind, at in order]
    ingest(database, *payloads, *payloads)
    assert owed(database) == [(0, 0)]
    assert database.execute("select is_member from slack.channel").fetchall() == [(True,)]
    assert complete(database) == (300, None)


def test_a_join_during_a_backfill_is_a_gap_of_its_own(database: psycopg.Connection[Any]) -> None:
    connected(database)
    ingest(database, event("member_joined_channel", 100))
    database.execute("update slack.gap set begun_at = now()")
    ingest(database, event("channel_left", 200), event("member_joined_channel", 300))
    # What the app heard from 100 to 200 is complete.
    assert joined(database) == [("C1", 0, 100, False), ("C1", 200, 300, False)]


def test_gaps_and_leaving_bound_what_is_complete(database: psycopg.Connection[Any]) -> None:
    connected(database)

    def refresh() -> tuple[int | None, int | None]:
        database.execute("select slack.refresh_complete('C1')")
        return complete(database)

    ingest(database, event("member_joined_channel", 100))
    inside = gap(database, 300, 400)
    gap(database, 350, 450, "C2")
    assert refresh() == (400, None)
    going_on = gap(database, 500, None)
    assert refresh() == (400, 500)
    database.execute("update slack.gap set ended_at = to_timestamp(600) where id = %s", (going_on,))
    assert refresh() == (600, None)
    database.execute(
        "update slack.gap set closed_at = now() where id = any (%s)", ([inside, going_on],)
    )
    assert refresh() == (100, None)
    ingest(database, event("channel_left", 700))
    assert complete(database) == (100, 700)
    ingest(database, event("member_joined_channel", 900))
    assert complete(database) == (900, None)
    # The backfill of the history before the second join closes the hole.
    database.execute("select slack.add_history('C1', '{[1970-01-01Z,1970-01-01T00:15Z)}')")
    assert complete(database) == (0, None)


def test_only_what_is_not_complete_is_owed(database: psycopg.Connection[Any]) -> None:
    connected(database)
    database.execute(
        "insert into slack.channel (id, channel_name) values ('C1', 'a'), ('C2', 'b'), ('C3', 'c'), ('C4', 'd');"
        # All of it was read; a part was imported; the operator's backfill is not finished; it begins too late.
        "select slack.add_history('C1', '{[1970-01-01Z,1970-01-01T00:10Z)}');"
        "select slack.add_history('C2', '{[1970-01-01T00:01Z,1970-01-01T00:02Z]}');"
        "insert into slack.gap (reason, started_at, ended_at, channel_id, begun_at, tried_at, error) values"
        " ('by hand', 'epoch', to_timestamp(500), 'C3', now(), now(), 'it was stopped')"
        ", ('by hand', to_timestamp(5), to_timestamp(500), 'C4', now(), now(), 'it was stopped')"
    )
    for _ in range(2):
        ingest(
            database, *(event("member_joined_channel", 700, channel=f"C{n}") for n in range(1, 5))
        )
        assert sorted(joined(database)) == [
            ("C1", 600, 700, False),
            ("C2", 0, 60, False),
            ("C2", 120, 700, False),
            ("C3", 0, 500, False),
            ("C3", 500, 700, False),
            ("C4", 0, 700, False),
        ]
    assert database.execute("select count(*) from slack.gap where tried_at is null").fetchone() == (
        6,
    )


def test_a_join_before_the_first_start_is_heard_since_the_start(
    database: psycopg.Connection[Any],
) -> None:
    for since in (None, 400):
        if since:
            connected(database)
            database.execute("update slack.connection set connected_at = to_timestamp(400)")
        channel = f"C{since}"
        ingest(database, event("member_joined_channel", 100, channel=channel))
        heard = "select heard_since between now() - interval '1 minute' and now(), heard_since = to_timestamp(400)"
        found = database.execute(f"{heard} from slack.channel where id = '{channel}'").fetchone()
        assert found == (since is None, since is not None)
    assert joined(database)[1:] == [("C400", 0, 400, False)]


def test_a_gap_that_is_found_after_the_app_has_left_counts(
    database: psycopg.Connection[Any],
) -> None:
    connected(database)
    ingest(database, event("member_joined_channel", 100), event("channel_left", 700))
    found = gap(database, 400, 500)
    database.execute("select slack.refresh_heard('', 100)")
    assert complete(database) == (500, 700)
    database.execute("update slack.gap set closed_at = now() where id = %s", (found,))
    database.execute("select slack.refresh_heard('', 100)")
    assert complete(database) == (100, 700)
    database.execute(
        "select slack.lose_heard('C1', tstzrange(to_timestamp(600), to_timestamp(650)))"
    )
    assert complete(database) == (650, 700)


async def test_an_event_that_failed_is_missing(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    connected(database)
    ingest(database, event("member_joined_channel", 100))
    for n, (subtype, at) in enumerate([(None, 50), ("message_changed", 600), (None, 400)]):
        failed = {"event_id": f"EvF{n}", "event_ts": f"{at}.5", "received_at": "1970-01-01T01:00Z"}
        failed |= {"type": "message", "subtype": subtype, "effects": [], "outcome": "failed"}
        failed |= {"channel_id": "C1", "message_ts": f"{at}.5", "event": {}, "error": {}}
        database.execute("select slack.ingest(%s)", (json.dumps([failed]),))
    query = "select complete_since = to_timestamp(400.500001) from slack.channel"
    assert database.execute(query).fetchone() == (True,)
    # A replay stores it.
    row = database.execute("select id from slack.event where event_id = 'EvF2'").fetchone()
    assert row
    message = {"type": "message", "channel": "C1", "ts": "400.500000", "user": "U1", "text": "x"}
    again = {"outcome": "stored", "effects": ["message"], "event": message, "error": None}
    record: Any = failed | again | {"id": row[0], "kept_channel_id": "C1"}
    routed = Route("message", None, (), Outcome.STORED)
    encoded = EncodedEvent(json.dumps(record).encode(), EventId("EvF2"), routed)
    async with await connect(conninfo) as connection:
        for dry_run, since in ((True, 401), (False, 100)):
            await replay_events(connection, [encoded], dry_run=dry_run)
            assert complete(database) == (since, None)
    # Or a backfill reads it.
    database.execute(
        "select slack.lose_heard('C1', tstzrange(to_timestamp(400), to_timestamp(401)))"
    )
    assert complete(database) == (401, None)
    database.execute("select slack.add_history('C1', '{[1970-01-01Z,1970-01-01T00:10Z)}')")
    assert complete(database) == (0, None)


async def test_a_row_that_somebody_has_locked_holds_up_no_other(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, is_member) values ('C1', 'a', true), ('C2', 'b', true)"
    )
    heard = "select id from slack.channel where complete_since is not null order by id"
    async with await connect(conninfo) as connection, await connect(conninfo) as other:
        async with other.transaction():
            await other.execute("select from slack.channel where id = 'C1' for update")
            assert await history.update_heard(connection, None) == 1
            assert await history.update_heard(connection, None) == 0
            assert database.execute(heard).fetchall() == [("C2",)]
        assert await history.update_heard(connection, None) == 1
        gap(database, 0, None)
        async with other.transaction():
            await other.execute("select from slack.channel where id = 'C1' for update")
            refreshed = await history.refresh_heard(connection, "")
            assert (refreshed.last, refreshed.has_locked) == ("C2", True)
            assert database.execute(heard).fetchall() == [("C1",)]
        refreshed = await history.refresh_heard(connection, "")
        assert (refreshed.last, refreshed.has_locked) == ("C2", False)
        assert database.execute(heard).fetchall() == []


def test_a_channel_costs_the_same_however_many_histories_are_owed(
    database: psycopg.Connection[Any],
) -> None:
    connected(database)
    database.execute(
        "insert into slack.channel (id, channel_name, channel_type, is_member, heard_since)"
        " select 'C' || n, 'c' || n, 'channel', true, case when n > 1 then now() end from generate_series(1, 3000) n;"
        "insert into slack.gap (reason, started_at, ended_at, channel_id)"
        " select case when n % 2 = 0 then 'joined' else 'by hand' end, 'epoch', now(), 'C' || n"
        " from generate_series(2, 3000) n;"
        "insert into slack.gap (reason, started_at, ended_at)"
        " values ('not connected', now() - interval '1 hour', now());"
        "analyze slack.gap; analyze slack.channel"
    )
    with database.transaction():
        assert database.execute("select slack.update_heard(null)").fetchone() == (1,)
        database.execute("select slack.refresh_complete('C2')")
        read = (
            "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
            " from pg_stat_xact_user_tables where relid = 'slack.gap'::regclass"
        )
        row = database.execute(read).fetchone()
    assert row
    assert row[0] < 100


def test_leaving_while_nothing_ran_is_known_before_the_gap(
    database: psycopg.Connection[Any],
) -> None:
    connected(database)
    killed(database)
    ingest(database, event("member_joined_channel", 100), event("channel_left", 700))
    assert complete(database) == (100, 500)


async def test_readers_do_not_take_silence_for_completeness(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    connected(database)
    ingest(database, event("member_joined_channel", 100))
    killed(database)
    async with await connect(conninfo) as connection:

        async def missing() -> list[datetime | None]:
            found = await history.incomplete_channels(
                connection,
                since=datetime.fromtimestamp(200, UTC),
                until=None,
                channels=[ChannelId("C1")],
                visible=None,
            )
            return [each.complete_until for each in found]

        assert await missing() == [datetime.fromtimestamp(500, UTC)]
        trail = await fetch_message_trail(connection, ChannelId("C1"), SlackTs("1000.000000"))
        assert "The channel is not complete after 1970-01-01" in "\n".join(why_lines(trail))
        database.execute("update slack.connection set seen_at = now()")
        assert await missing() == []


async def test_a_channel_that_a_list_names_is_heard_once_connected(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    mine: list[dict[str, object]] = [
        {"id": "C1", "name": "one", "is_member": True, "updated": 1_700_000_000_000}
    ]
    others: list[dict[str, object]] = [
        {"id": "C2", "name": "two", "is_member": False},
        {"id": "C3", "name": "three"},
    ]
    async with await connect(conninfo) as connection:
        found = await upsert(connection, "channel", mine)  # a list of an export
        assert (await history.update_heard(connection, None), found.changed) == (0, 1)
        found = await upsert(connection, "channel", mine + others, listed_at="1800000000.000000")
        assert found.changed == 3
        assert [await history.update_heard(connection, None) for _ in range(2)] == [1, 0]
        assert [row[:2] for row in joined(database)] == [("C1", 0)]
        again = await upsert(connection, "channel", mine + others, listed_at="1800000100.000000")
        assert again.changed == 0
        # Heard of in a list after it has left: what was heard until the list before is complete.
        database.execute("update slack.channel set heard_since = to_timestamp(1799999000)")
        mine[0]["is_member"] = False
        await upsert(connection, "channel", mine, listed_at="1800000200.000000")
    assert complete(database) == (1_799_999_000, 1_800_000_100)


async def test_only_channels_whose_history_the_app_may_read_are_heard(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, channel_type, is_member)"
        " values ('C1', 'a', 'channel', true), ('G1', 'b', 'group', true), ('C2', 'c', null, true)"
    )
    heard = "select id, complete_since is not null from slack.channel where heard_since is not null order by id"
    async with await connect(conninfo) as connection:
        assert await history.update_heard(connection, ["channel", "im"]) == 1
        assert database.execute(heard).fetchall() == [("C1", True)]
        assert await history.update_heard(connection, ["channel", "group"]) == 2
        assert len(database.execute(heard).fetchall()) == 3
        # The app has been installed again, without a scope.
        assert await history.update_heard(connection, ["channel"]) == 2
        assert database.execute(heard).fetchall() == [("C1", True)]
        assert complete(database, "G1") == complete(database, "C2") == (None, None)
        assert await history.update_heard(connection, ["channel"]) == 0


@pytest.mark.parametrize(
    ("days", "options", "periods"),
    [
        pytest.param({14: [0, 5], 16: [9]}, {}, [(0, 2 * DAYS + 9)], id="all of it"),
        pytest.param(
            {14: [0], 15: [1, None], 16: [9], 18: [3]},
            {},
            [(0, 0), (2 * DAYS + 9, 4 * DAYS + 3)],
            id="a bad record",
        ),
        pytest.param(
            {14: [0, 5], 16: [9]},
            {"since": 3},
            [(2 * DAYS + 9, 2 * DAYS + 9)],
            id="a part of a day",
        ),
    ],
)
async def test_an_import_makes_channels_complete(
    conninfo: str,
    database: psycopg.Connection[Any],
    tmp_path: Path,
    days: dict[int, list[int | None]],
    options: dict[str, int],
    periods: list[tuple[int, int]],
) -> None:
    files = export(
        {
            "general": {
                f"2023-11-{day}": [
                    {"ts": None} if at is None else message((day - 14) * DAYS + at) for at in times
                ]
                for day, times in days.items()
            }
        }
    )
    archive = write_folder(tmp_path / "export", files)
    since = {name: datetime.fromtimestamp(DAY + at, UTC) for name, at in options.items()}
    for _ in range(2):  # the second one knows the contents
        await run_import(conninfo, archive, selection=ImportSelection(**since))
        found = database.execute(
            "select extract(epoch from lower(p))::int8 - %(day)s, extract(epoch from upper(p))::int8 - %(day)s"
            " from slack.channel_history h, unnest(h.complete) p order by p",
            {"day": DAY},
        ).fetchall()
        assert found == periods
    assert complete(database, "C0") == tuple(DAY + at for at in periods[-1])


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        (None, None, "It is not known for which time the channel is complete."),
        (2000, None, "The channel is not complete before 1970-01-01"),
        (500, 900, "The channel is not complete after 1970-01-01"),
        (500, None, "The channel is complete at its time: when it was read"),
    ],
)
async def test_why_says_for_which_time_the_channel_is_complete(
    conninfo: str,
    database: psycopg.Connection[Any],
    since: int | None,
    until: int | None,
    says: str,
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, complete_since, complete_until)"
        " values ('C1', 'ops', to_timestamp(%s), to_timestamp(%s))",
        (since, until),
    )
    async with await connect(conninfo) as connection:
        found = await fetch_message_trail(connection, ChannelId("C1"), SlackTs("1000.000000"))
    assert says in "\n".join(why_lines(found))


async def test_channels_of_an_earlier_version_are_heard_from_the_upgrade_on(
    empty_conninfo: str,
) -> None:
    files = shipped_migrations()
    before = [file for file in files if file.is_incremental and file.name < "incremental/019"]
    await migrate(empty_conninfo, files=before, version="0.4.0")
    with psycopg.connect(empty_conninfo, autocommit=True) as database:
        database.execute(
            "insert into slack.channel (id, channel_name, is_member) values ('C1', 'a', true), ('C2', 'b', false)"
        )
        connected(database, "now")
        await migrate(empty_conninfo, files=files, version="0.5.0")
        found = database.execute(
            "select id, heard_since is not null, complete_since = heard_since from slack.channel order by id"
        ).fetchall()
        assert found == [("C1", True, True), ("C2", False, None)]
        assert joined(database) == []

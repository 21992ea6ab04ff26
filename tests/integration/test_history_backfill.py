"""The whole history of channels is read by token, whatever Slack answers, and is then known to be complete."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.gapped import payload, post, web_of
from tests.histories import (
    EPOCH,
    FIRST,
    NOW,
    SECOND,
    THIRD,
    differences,
    history,
    read_histories,
    states,
)
from tests.support import AT_ONCE, make_engine, running, until
from tiger_slack_tui.backfill.live_events import LiveEvents
from tiger_slack_tui.backfill.result import BackfillProgress, GapResult
from tiger_slack_tui.base.errors import DatabaseUnavailable, SlackUnavailable
from tiger_slack_tui.base.ids import ChannelId, TeamId
from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.presence.heartbeat import HeartbeatTiming
from tiger_slack_tui.slack.paged_history import SlackHistory
from tiger_slack_tui.slack.web import Page, SlackWeb
from tiger_slack_tui.store import gaps


def join(channel: str, at: float) -> dict[str, Any]:
    event = {
        "type": "member_joined_channel",
        "user": "U0TIGER",
        "channel": channel,
        "team": "T0LOCAL",
    }
    sent = payload(f"EvJoin{channel}", event | {"channel_type": "C", "event_ts": f"{at:.6f}"})
    return sent | {"authorizations": [{"team_id": "T0LOCAL", "user_id": "U0TIGER", "is_bot": True}]}


def reply(channel: str, thread: str, at: float) -> dict[str, Any]:
    event = {"type": "message", "channel": channel, "user": "U1", "text": f"late {at}"}
    return event | {"ts": f"{at:.6f}", "event_ts": f"{at:.6f}", "thread_ts": thread}


async def test_a_channel_that_the_app_joins_is_read_by_the_job(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    directory = history(3, 60, is_member=False)
    async with (
        LocalSlack(directory=directory) as slack,
        running(
            make_engine(slack, conninfo, tmp_path, heartbeat=HeartbeatTiming(interval=0.1))
        ) as engine,
    ):
        assert states(database) == {}
        await slack.send_all([join(FIRST, NOW), join(SECOND, NOW)])
        await until(lambda: [closed for closed, _ in states(database).values()] == [True] * 2)
        query = (
            "select id from slack.channel where complete_since = 'epoch' and complete_until is null"
            " order by id"
        )
        assert database.execute(query).fetchall() == [(FIRST,), (SECOND,)]
        directory.channels[THIRD]["is_member"] = True  # as if the event were lost
        late = reply(FIRST, directory.messages(FIRST)[0]["ts"], NOW + 1)
        await slack.send_all([payload("EvLate", late)])
        await slack.wait_acked()
        # The daily list finds it.
        await engine.run_job("channels")
        await until(lambda: [closed for closed, _ in states(database).values()] == [True] * 3)
    assert differences(conninfo, directory) == []
    assert database.execute(query).fetchall() == [(FIRST,), (SECOND,), (THIRD,)]


async def test_a_channel_of_a_kind_that_the_app_may_not_read_is_not_complete(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    directory = history(2, 20)
    directory.channels[FIRST] |= {"is_private": False}
    directory.channels[SECOND] |= {"is_private": True}
    heartbeat = HeartbeatTiming(interval=0.1, scopes=0.2)
    async with LocalSlack(directory=directory) as slack:
        slack.scopes.remove("groups:history")
        slack.refuse_channel = {SECOND: "missing_scope"}
        async with running(make_engine(slack, conninfo, tmp_path, heartbeat=heartbeat)) as engine:
            await engine.run_job("channels")
            await slack.send_all([join(SECOND, NOW)])
            await until(lambda: states(database).get(FIRST, (False,))[0])
            heard = "select id from slack.channel where complete_since is not null"
            await until(lambda: database.execute(heard).fetchall() == [(FIRST,)])
            await until(lambda: SECOND in states(database))
            # The app gets the scope while the instance runs.
            slack.scopes.append("groups:history")
            slack.refuse_channel = {}
            await until(lambda: len(database.execute(heard).fetchall()) == 2)


async def test_a_history_that_is_read_by_hand_begins_where_the_setting_says(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    directory = history(1, 60, is_member=False)
    settings = JobSettings(backfill=False, history_since="200d")
    async with (
        LocalSlack(directory=directory) as slack,
        running(make_engine(slack, conninfo, tmp_path, jobs=settings)) as engine,
    ):
        await slack.send_all([join(FIRST, NOW)])
        await until(lambda: len(states(database)) == 1)
        row = database.execute("select id from slack.gap").fetchone()
        assert row is not None
        await engine.close_gap(row[0])
    read = "select count(*) between 20 and 50, min(ts) > now() - interval '201 days' from slack.message"
    assert database.execute(read).fetchone() == (True, True)


async def test_every_answer_of_slack_leaves_the_whole_history(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(3, 150)
    faults = Faults(http_429=0.1, http_500=0.1, limited_200=0.1, expired_cursors=0.5, wait=0)
    results: list[GapResult] = []
    async with LocalSlack(directory=directory, faults=faults) as slack:
        ended = await read_histories(slack, conninfo, results=results)
    assert (ended.outcome, ended.error) == ("done", None)
    assert differences(conninfo, directory) == []
    total = sum(len(directory.messages(channel)) for channel in directory.channels)
    assert sum(result.messages.inserted for result in results) == total
    assert all(result.is_closed and result.messages.adds_up for result in results)
    query = (
        "select count(*) from slack.channel_history where complete @> '1970-01-01Z'::timestamptz"
    )
    assert database.execute(query).fetchone() == (3,)


async def test_a_token_that_is_revoked_in_the_middle(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(3, 120)
    results: list[GapResult] = []
    async with LocalSlack(directory=directory) as slack:

        def revoke(_: Any) -> None:
            if slack.calls["conversations.replies"] > 8:
                slack.refuse["conversations.history"] = "token_revoked"
                slack.refuse["conversations.replies"] = "token_revoked"

        ended = await read_histories(slack, conninfo, results=results, on_progress=revoke)
        assert (ended.outcome, "token_revoked" in str(ended.error)) == ("failed", True)
        # The account has also the channels that were begun.
        (stored,) = database.execute("select count(*) from slack.message").fetchone() or (0,)
        assert sum(result.messages.inserted for result in results) == stored
        found = states(database).values()
        assert all(closed or "token_revoked" in str(error) for closed, error in found)
        slack.refuse.clear()
        shares: list[float] = []
        await read_histories(
            slack, conninfo, results=results, on_progress=lambda now: shares.append(now.share)
        )
    assert differences(conninfo, directory) == []
    # Threads that the first run found and did not read count from the beginning.
    assert shares == sorted(shares)
    # Each message is counted once, though two runs have read.
    kept = "select sum((account -> 'messages' ->> 'inserted')::int8) from slack.gap"
    assert (
        database.execute(kept).fetchone()
        == database.execute("select count(*) from slack.message").fetchone()
    )


@pytest.mark.parametrize("way", ["stopped", "session lost"])
async def test_a_stop_accounts_for_the_channels_that_were_begun(
    conninfo: str, database: psycopg.Connection[Any], way: str
) -> None:
    results: list[GapResult] = []
    end_session = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'test' and datname = current_database()"
    )
    async with LocalSlack(directory=history(4, 2000, replies=0)) as slack:

        def stop(_: BackfillProgress) -> None:
            if slack.calls["conversations.history"] == 3:
                task.cancel() if way == "stopped" else database.execute(end_session)

        task = asyncio.create_task(
            read_histories(slack, conninfo, results=results, on_progress=stop)
        )
        with contextlib.suppress(asyncio.CancelledError, DatabaseUnavailable):
            await task
    (stored,) = database.execute("select count(*) from slack.message").fetchone() or (0,)
    assert sum(result.messages.inserted for result in results) == stored > 400
    errors = {"it was stopped"} if way == "stopped" else {"the database ended it"}
    assert {result.error for result in results} == errors
    kept = "select sum((account -> 'messages' ->> 'inserted')::int8), count(*) from slack.gap"
    found = database.execute(kept).fetchone()
    # Each is begun when its turn comes.
    begun = database.execute("select count(begun_at) from slack.gap").fetchone()
    assert begun == (len(results),) == (3,)
    assert found == ((stored, 4) if way == "stopped" else (None, 4))


async def test_names_and_address_are_stored_without_a_run(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(2, 20)
    directory.users["U1"] = {"id": "U1", "name": "ann", "profile": {}}
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
    assert database.execute('select user_name from slack."user"').fetchall() == [("ann",)]
    query = "select channel_name, is_member from slack.channel order by id"
    assert database.execute(query).fetchall() == [("place-0", True), ("place-1", True)]
    assert database.execute("select count(url) from slack.workspace").fetchone() == (1,)


async def test_what_is_read_before_the_first_run_is_not_read_again(
    conninfo: str, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    directory = history(2, 1200, replies=0)
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
        pages = slack.calls["conversations.history"]
        assert pages >= 7
        beat = HeartbeatTiming(interval=0.1)
        async with running(make_engine(slack, conninfo, tmp_path, heartbeat=beat)):
            await until(lambda: len(states(database)) == 2)
            owed = "select count(*), count(closed_at) from slack.gap where reason = 'joined'"
            await until(lambda: database.execute(owed).fetchone() == (2, 2))
        assert slack.calls["conversations.history"] == pages + 2
    whole = "select count(*) from slack.channel where complete_since = 'epoch' and complete_until is null"
    assert database.execute(whole).fetchone() == (2,)


async def test_a_network_that_is_away_is_waited_for(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = history(1, 600, replies=0)
    answers = iter([False, False])
    real = SlackHistory.is_reachable

    async def is_reachable(slack: SlackHistory) -> bool:
        if next(answers, True):
            return await real(slack)
        return False

    monkeypatch.setattr(SlackHistory, "is_reachable", is_reachable)
    real_page, calls = SlackWeb.history_page, itertools.count()

    async def page(web: SlackWeb, *given: Any, **options: Any) -> Page:
        if 1 <= next(calls) <= 8:
            raise web._counted(SlackUnavailable("no network"))
        return await real_page(web, *given, **options)

    monkeypatch.setattr(SlackWeb, "history_page", page)
    async with LocalSlack(directory=directory) as slack:
        ended = await read_histories(slack, conninfo, give_up_after=1)
    assert (ended.outcome, ended.error) == ("done", None)
    assert differences(conninfo, directory) == []


async def test_only_threads_that_have_grown_are_read_again(conninfo: str) -> None:
    directory = history(2, 100)
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
        first = slack.calls["conversations.replies"]
        assert first > 10
        old = next(m for m in directory.messages(FIRST) if m.get("reply_count"))
        late = reply(FIRST, old["ts"], NOW - 5)
        directory.apply(late)
        await read_histories(slack, conninfo)
        assert slack.calls["conversations.replies"] == first + 1
    assert differences(conninfo, directory) == []


async def test_the_newest_messages_of_all_channels_come_first(conninfo: str) -> None:
    directory = history(4, 2000, replies=0)
    reached: dict[int, float] = {}
    positions: list[float] = []

    def note(now: BackfillProgress) -> None:
        positions.append(reached.get(now.gap.id, NOW + 3600))
        with psycopg.connect(conninfo) as connection:
            query = "select extract(epoch from reached)::float8 from slack.gap_channel where gap_id = %s"
            row = connection.execute(query, (now.gap.id,)).fetchone()
        reached[now.gap.id] = row[0] if row else 0

    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo, on_progress=note)
    assert len(positions) >= 8
    # Each page is of the channel whose unread messages are the newest.
    assert positions == sorted(positions, reverse=True)


async def test_a_restricted_app_reads_histories_only_if_it_is_asked_to(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(2, 200)
    directory.is_restricted = True
    async with LocalSlack(directory=directory) as slack:
        ended = await read_histories(slack, conninfo, is_patient=False)
        assert (ended.outcome, "restricts" in str(ended.error)) == ("failed", True)
        assert slack.calls["conversations.history"] + slack.calls["conversations.replies"] <= 3
        assert all("restricts" in str(error) for _, error in states(database).values())
        ended = await read_histories(slack, conninfo, is_patient=False, is_by_operator=False)
        assert (ended.outcome, "restricts" in str(ended.error)) == ("incomplete", True)
        await read_histories(slack, conninfo)
    assert differences(conninfo, directory) == []


async def test_a_long_list_of_channels_does_not_hide_that_slack_restricts_the_app() -> None:
    directory = history(20, 800)
    directory.is_restricted = True
    async with LocalSlack(directory=directory) as slack, web_of(slack) as web:
        read = SlackHistory(web, AT_ONCE)
        for channel in (FIRST, SECOND):
            await read.history_page(ChannelId(channel), EPOCH, datetime.now(UTC))
        assert read.is_restricted
        assert len(await read.conversations(["public_channel"])) == 20
        assert read.is_restricted


async def test_what_a_plan_hides_is_not_said_to_be_complete(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(1, 300)
    shown = [m["ts"] for m in directory.messages(FIRST) if "thread_ts" not in m][-20]
    directory.shows_since = shown
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
    query = "select lower(complete) = to_timestamp(%s) from slack.channel_history"
    assert database.execute(query, (float(shown),)).fetchone() == (True,)


async def test_a_history_with_a_record_that_cannot_be_stored_is_not_complete(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(2, 40)
    async with LocalSlack(directory=directory) as slack:
        damaged = post(NOW - 60, FIRST)["event"]
        directory.apply(damaged)
        directory._messages[FIRST][damaged["ts"]]["subtype"] = (
            "message_deleted"  # of what, it does not say
        )
        results: list[GapResult] = []
        await read_histories(slack, conninfo, results=results)
    assert sum(result.messages.bad for result in results) == 1
    query = "select channel_id from slack.channel_history"
    assert database.execute(query).fetchall() == [(SECOND,)]


async def test_live_events_go_first(conninfo: str, database: psycopg.Connection[Any]) -> None:
    from tests.instances import instance_state
    from tiger_slack_tui.store.instances import Heartbeat, write_heartbeat

    async with await connect(conninfo) as connection:
        state = instance_state("one")
        await write_heartbeat(
            connection,
            lambda: Heartbeat(state, [], []),
            stale=30,
            others_are_up_to_date=True,
            least_gap=1,
        )
        said: list[str] = []

        async def note(what: str) -> None:
            said.append(what)

        live = LiveEvents(connection, pause=0.01, on_wait=note)
        await live.wait()
        database.execute("update slack.instance set ack_p95 = 0.5")
        waiting = asyncio.create_task(live.wait())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.1)
        assert not waiting.done()
        database.execute("update slack.instance set ack_p95 = 0.16")  # quicker, but not yet quick
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.1)
        assert not waiting.done()
        database.execute("update slack.instance set ack_p95 = null")
        await waiting
        # It says what it waits for, and does not wait for ever.
        database.execute("update slack.instance set ack_p95 = 0.5")
        await LiveEvents(connection, pause=0.01, longest=0.05, on_wait=note).wait()
        assert said == ["waits for live events of one"] * 2


async def test_a_run_says_how_far_it_is(conninfo: str, database: psycopg.Connection[Any]) -> None:
    said: list[str | None] = []

    def note(_: Any) -> None:
        with psycopg.connect(conninfo) as connection:
            row = connection.execute("select progress from slack.job_run").fetchone()
        said.append(row[0] if row else None)

    async with LocalSlack(directory=history(2, 60)) as slack:
        await read_histories(slack, conninfo, on_progress=note)
    ended = database.execute("select progress from slack.job_run").fetchone()
    assert ended is not None
    assert ended[0].startswith("100 %, 2 of 2 channels")
    assert all(re.match(r"\d+ %, [01] of 2 channels", text or "") for text in said[1:-1])


async def test_a_run_says_until_when_slack_asks_to_wait(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def wait(*_: Any) -> None:
        row = database.execute("select progress from slack.job_run").fetchone()
        said.append(str(row and row[0]))
        slack.faults.http_429 = 0

    monkeypatch.setattr("tiger_slack_tui.slack.pages.wait", wait)
    async with LocalSlack(directory=history(1, 60), faults=Faults(wait=400)) as slack:

        def refuse(_: Any) -> None:
            slack.faults.http_429 = 1.0 if not said else 0

        await read_histories(slack, conninfo, on_progress=refuse)
    assert re.search(r" %, 0 of 1 channels.*, waits until \S+ UTC as Slack asks$", said[0])


async def test_a_history_that_is_not_finished_goes_on(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    begin, later = datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 3600, UTC)
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at, channel_id) values ('joined', 'epoch', %s, 'C1')",
        (begin,),
    )

    async def add(since: datetime, until: datetime, *channels: str) -> list[tuple[Any, ...]]:
        async with await connect(conninfo) as connection:
            found = await gaps.add_histories(
                connection,
                team=TeamId("T0LOCAL"),
                channels=[ChannelId(channel) for channel in channels],
                since=since,
                until=until,
                instance="test",
            )
        return [(g.reason, g.channel_id, g.started_at, g.ended_at) for g in found]

    owed = ("joined", "C1", EPOCH, begin)
    asked = ("by hand", "C2", EPOCH, begin)
    assert await add(EPOCH, begin, "C1", "C2") == [owed, asked]
    assert await add(EPOCH, begin, "C1", "C2") == [owed, asked]
    # What came since then is added, and a history that goes further back is another one.
    assert await add(EPOCH, later, "C1") == [owed, ("by hand", "C1", begin, later)]
    week = datetime.fromtimestamp(NOW - 7 * 86_400, UTC)
    assert await add(week, begin, "C3") == [("by hand", "C3", week, begin)]
    assert await add(EPOCH, begin, "C3") == [("by hand", "C3", EPOCH, begin)]
    # Who asks for a week does not wait for all that is owed.
    assert await add(week, begin, "C1") == [("by hand", "C1", week, begin)]

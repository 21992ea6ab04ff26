"""Gaps are closed with what Slack's history holds, by the rules of imports, resumably and at Slack's pace."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.gapped import HOUR, NOW, Gapped, delete, edit, post, react, reply, texts_of
from tests.support import AT_ONCE, delivered, make_engine, running, until
from tiger_slack_tui.backfill.channel_reader import ChannelReader
from tiger_slack_tui.backfill.gap_backfill import Backfill
from tiger_slack_tui.backfill.result import BackfillProgress
from tiger_slack_tui.demo.check import differences
from tiger_slack_tui.demo.directory import Directory
from tiger_slack_tui.demo.expected import Expected
from tiger_slack_tui.demo.slack import Faults, LocalSlack
from tiger_slack_tui.demo.workspace import Workspace
from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.lock_keys import BACKFILL_LOCK_KEY
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.slack.paged_history import HistoryPace, SlackHistory
from tiger_slack_tui.slack.ts import slack_ts
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.import_account import Account


@pytest.fixture
async def gapped(conninfo: str, tmp_path: Path) -> AsyncIterator[Gapped]:
    channels = [{"id": f"C{n}", "name": f"place-{n}"} for n in range(1, 4)]
    async with LocalSlack(directory=Directory([], channels)) as slack:
        yield Gapped(slack, conninfo, tmp_path)


async def test_a_missed_hour_comes_from_history(gapped: Gapped) -> None:
    known = [post(NOW - 5 * HOUR + n) for n in range(20)]
    missed = [post(NOW - 3 * HOUR + n, f"C{n % 3 + 1}") for n in range(500)]
    await gapped.hears(*known)
    gapped.misses(*missed)
    ended = await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert (ended.outcome, ended.rows_seen, ended.rows_changed) == ("done", 520, 500)
    assert gapped.texts() == texts_of(*known, *missed)
    (result,) = gapped.results
    account = result.messages
    assert (account.read, account.inserted, account.already_there) == (520, 500, 20)
    assert account.adds_up
    assert (result.channels, result.skipped_channels, result.is_closed) == (3, {}, True)
    ((closed, kept, error, left),) = gapped.rows(
        "select closed_at is not null, account -> 'messages' ->> 'inserted', error"
        ", (select count(*) from slack.gap_channel) from slack.gap where reason = 'by hand'"
    )
    assert (closed, kept, error, left) == (True, "500", None, 0)
    # once more changes nothing, as Slack delivering it all after all does
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert gapped.results[1].messages.inserted == gapped.results[1].messages.updated == 0
    await gapped.hears(*missed)
    expected = Expected()
    for one in (*known, *missed):
        expected.apply(one)
    lines = await differences(gapped.conninfo, expected)
    assert [line for line in lines if not line.startswith("slack.channel")] == []


async def test_replies_of_the_gap_are_found_also_to_older_threads(gapped: Gapped) -> None:
    day = 24 * HOUR
    old, lost = post(NOW - 10 * day), post(NOW - 9 * day)
    recent = post(NOW - 2 * day)
    heard = [old, lost, recent, reply(NOW - 2 * day + 5, old)]
    inside = post(NOW - 3 * HOUR)
    missed = [
        reply(NOW - 2.9 * HOUR, old),  # known to be answered lately
        reply(NOW - 2.8 * HOUR, recent),  # its first reply, told by latest_reply
        inside,
        *(reply(NOW - 2.7 * HOUR + n, inside) for n in range(250)),
        reply(NOW - 2.6 * HOUR, recent, subtype="thread_broadcast"),
    ]
    unfindable = reply(NOW - 2.5 * HOUR, lost)
    await gapped.hears(*heard)
    gapped.misses(*missed, unfindable)
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert gapped.texts() == texts_of(*heard, *missed)
    (result,) = gapped.results
    assert (result.threads, result.messages.inserted) == (3, len(missed))
    assert result.messages.adds_up
    assert gapped.shares == sorted(gapped.shares)
    assert gapped.shares[-1] == 1


async def test_edits_reactions_and_deletions_of_the_gap(gapped: Gapped) -> None:
    posts = [post(NOW - 5 * HOUR + n) for n in range(10)]
    later = edit(NOW - HOUR, posts[5], "edited since")
    unreacted = react(NOW - HOUR, posts[6], kind="removed")
    await gapped.hears(*posts, react(NOW - 4.5 * HOUR, posts[6], "tada"))
    gapped.misses(
        edit(NOW - 3 * HOUR, posts[3], "edited in the gap"),
        edit(NOW - 3 * HOUR, posts[5], "edited in the gap, and since"),
        react(NOW - 3 * HOUR, posts[4]),
        react(NOW - 3 * HOUR, posts[6]),
        delete(NOW - 3 * HOUR, posts[7]),
        reply(NOW - 2.9 * HOUR, posts[8]),
        delete(NOW - 2.8 * HOUR, posts[8]),  # leaves a tombstone for its reply
    )
    await gapped.hears(unreacted)
    gapped.slack.lose(react(NOW - HOUR, posts[6]))  # so that history still lists it
    await gapped.hears(later)
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    found = dict(gapped.rows("select text, reactions from slack.message"))
    eyes, tada = ({"user_id": "U2", "reaction": name} for name in ("eyes", "tada"))
    assert found["edited in the gap"] is None
    assert "edited since" in found
    assert found[posts[4]["event"]["text"]] == [eyes]
    assert found[posts[6]["event"]["text"]] == [tada]  # removed after the gap
    gone = {row[0] for row in gapped.rows("select ts from slack.tombstone")}
    assert {slack_ts(at) for at in gone} == {posts[n]["event"]["ts"] for n in (7, 8)}
    assert len(found) == 9
    assert gapped.results[0].deleted == 1
    assert gapped.results[0].messages.skipped == {"deleted in Slack": 1}


async def test_what_was_deleted_stays_deleted_and_what_was_discarded_away(
    gapped: Gapped, database: psycopg.Connection[Any]
) -> None:
    gone = post(NOW - 3 * HOUR)
    await gapped.hears(delete(NOW - HOUR, gone))
    gapped.misses(gone, post(NOW - 3 * HOUR + 1, subtype="channel_join"), post(NOW - 3 * HOUR + 2))
    database.execute(
        "insert into slack.message_discard (match) values ('$.subtype == \"channel_join\"')"
    )
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    account = gapped.results[0].messages
    assert (account.read, account.inserted) == (3, 1)
    assert account.skipped == {"deleted in Slack": 1}
    assert account.discarded == {"1": 1}
    assert len(gapped.texts()) == 1


async def test_no_message_is_deleted_because_slack_hides_it(gapped: Gapped) -> None:
    """Older than all that Slack shows, changed after the gap, or too many at once: none of that is a deletion."""
    hidden = [post(NOW - 5 * HOUR + n) for n in range(3)]
    shown = post(NOW - 4 * HOUR)
    many = [post(NOW - 3.5 * HOUR + n) for n in range(25)]
    last = post(NOW - 2.5 * HOUR)
    changed = post(NOW - 3 * HOUR, "C2")
    first = post(NOW - 3.9 * HOUR, "C2")
    await gapped.hears(*hidden, shown, *many, last, first, changed)
    await gapped.hears(edit(NOW - HOUR, changed, "edited since"))
    for one in (*hidden, *many, changed):
        gapped.misses(delete(NOW - 3 * HOUR, one))
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert gapped.rows("select count(*) from slack.tombstone") == [(0,)]
    assert len(gapped.texts()) == 3 + 1 + 25 + 1 + 2


async def test_private_channels_count_and_others_are_skipped(gapped: Gapped) -> None:
    listed = gapped.slack.directory.channels
    listed["G1"] = {"id": "G1", "name": "closed", "is_private": True}
    listed["D1"] = {"id": "D1", "is_im": True}
    listed["C2"] |= {"is_member": False}
    gapped.misses(*(post(NOW - 3 * HOUR, channel) for channel in ("C1", "C2", "G1", "D1")))
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    kinds = dict(gapped.rows("select channel_id, channel_type from slack.message"))
    assert kinds == {"C1": "channel", "G1": "group", "D1": "im"}
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR, channel="C2")
    assert gapped.results[1].skipped_channels == {"not_in_channel": 1}
    assert not gapped.results[1].is_closed
    listed["C2"]["is_member"] = True  # invited
    await gapped.backfill(NOW, NOW)
    assert gapped.results[2].is_closed
    assert gapped.results[2].messages.inserted == 1


async def test_a_missing_scope_is_said(gapped: Gapped) -> None:
    gapped.slack.scopes.remove("im:history")
    gapped.misses(post(NOW - 3 * HOUR))
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert gapped.results[0].not_allowed == ["im"]
    assert gapped.rows("select error from slack.gap") == [
        ("not read because a scope is missing: im",)
    ]


@pytest.mark.parametrize("way", ["session lost", "stopped", "job cancelled"])
async def test_it_goes_on_where_it_was_cut_off(
    gapped: Gapped, database: psycopg.Connection[Any], way: str
) -> None:
    parent = post(NOW - 3.05 * HOUR, "C3")
    missed = [post(NOW - 3 * HOUR + n, f"C{n % 3 + 1}") for n in range(1800)]
    missed += [parent, *(reply(NOW - 2.9 * HOUR + n + 0.5, parent) for n in range(50))]
    gapped.misses(*missed)
    slack = gapped.slack
    slow = HistoryPace(call=0.05)
    work = gapped.backfill(
        NOW - 3.1 * HOUR, NOW - 2 * HOUR, pace=slow, is_by_operator=way == "stopped"
    )
    task = asyncio.create_task(work)
    await until(lambda: slack.calls["conversations.history"] == 6)
    if way != "session lost":
        task.cancel()
    else:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'test'"
        )
    await asyncio.gather(task, return_exceptions=True)
    before = gapped.rows("select count(*) from slack.message")[0][0]
    assert 600 <= before < 1500
    (state,) = gapped.rows("select closed_at, tried_at is not null, error from slack.gap")
    assert state == ((None, True, "it was stopped") if way == "stopped" else (None, False, None))
    async with await connect(gapped.conninfo) as connection:
        # The job leaves what a person has stopped, and continues the rest. Neither counts as a gap.
        due = await gaps.due(connection, "T0LOCAL", growing=False)
        found = await gaps.summarize(connection, "T0LOCAL")
        assert (len(due), found.is_due, found.count) == (way != "stopped", way != "stopped", 0)
        assert found.newest is None
        assert (await gaps.open_gaps(connection)).count == 0
    calls = slack.calls["conversations.history"]
    ended = await gapped.backfill(NOW, NOW)
    assert ended.outcome == "done"
    assert gapped.texts() == texts_of(*missed)
    stopped, result = gapped.results
    assert (stopped.is_closed, result.is_closed) == (False, True)
    assert 0 < stopped.messages.inserted < 1851
    # counted once, though read by two
    assert (result.messages.read, result.messages.inserted) == (1851, 1851)
    assert slack.calls["conversations.history"] - calls <= 5  # of 10
    assert gapped.rows("select count(*) from slack.gap") == [(1,)]


async def test_threads_of_a_page_survive_a_stop_between_its_parts(
    gapped: Gapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of several spans is committed in parts, and no later attempt reads the first ones again."""
    old, parent = post(NOW - 100 * 24 * HOUR), post(NOW - 3 * HOUR)
    replies = [reply(NOW - 2.9 * HOUR + n, parent) for n in range(3)]
    gapped.misses(old, parent, *replies)
    period = (NOW - 101 * 24 * HOUR, NOW - 2 * HOUR)
    commit, calls = ChannelReader._commit_history, itertools.count()

    async def commit_one(reader: ChannelReader, part: Any) -> Account:
        if next(calls):
            raise asyncio.CancelledError
        return await commit(reader, part)

    with monkeypatch.context() as stopping:
        stopping.setattr(ChannelReader, "_commit_history", commit_one)
        with contextlib.suppress(asyncio.CancelledError):
            await gapped.backfill(*period)
    assert gapped.texts() == texts_of(parent)
    await gapped.backfill(*period)
    assert gapped.texts() == texts_of(old, parent, *replies)
    assert gapped.results[-1].is_closed


async def test_periods_that_were_not_begun_are_left_to_whoever_stops(gapped: Gapped) -> None:
    async with await connect(gapped.conninfo) as connection:
        found = [
            await gaps.add(
                connection,
                team="T0LOCAL",
                since=datetime.fromtimestamp(NOW - 2 * HOUR, UTC),
                until=datetime.fromtimestamp(NOW - HOUR, UTC),
                channel=channel,
                instance="test",
            )
            for channel in ("C1", "C2", "C3")
        ]
        for is_by_operator, left in ((False, 3), (True, 0)):
            closing = Backfill(
                connection,
                SlackHistory(web=None, pace=AT_ONCE),  # type: ignore[arg-type]
                scopes=None,
                on_progress=no_progress,
                is_by_operator=is_by_operator,
            )
            await closing.leave(found)
            assert len(await gaps.due(connection, "T0LOCAL", growing=False)) == left


async def no_progress(_: BackfillProgress) -> None:
    raise AssertionError


async def test_slack_stumbles_and_limits(gapped: Gapped) -> None:
    missed = [post(NOW - 3 * HOUR + n, f"C{n % 3 + 1}") for n in range(700)]
    gapped.misses(*missed)
    gapped.slack.faults = Faults(http_500=0.2)
    gapped.slack.tiers = {"conversations.history": (3, 1.0)}
    began = time.monotonic()
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert time.monotonic() - began > 1  # it waited
    assert gapped.texts() == texts_of(*missed)
    assert gapped.results[0].messages.read == 700
    assert not gapped.results[0].is_restricted


async def test_the_restricted_tier_is_noticed(
    gapped: Gapped, caplog: pytest.LogCaptureFixture
) -> None:
    missed = [post(NOW - 3 * HOUR + n) for n in range(40)]
    gapped.misses(*missed)
    gapped.slack.directory.is_restricted = True
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert gapped.results[0].is_restricted
    assert gapped.texts() == texts_of(*missed)  # slowly, but all
    assert "restricts this app to one call a minute" in caplog.text
    assert "restricts" in gapped.rows("select error from slack.gap")[0][0]


async def test_a_call_a_minute_is_the_restricted_tier_too(
    gapped: Gapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    gapped.misses(post(NOW - 3 * HOUR))
    gapped.slack.tiers = {"conversations.history": (1, 60.0)}
    waits: list[float] = []
    sleep = asyncio.sleep

    async def hurried(seconds: float) -> None:
        if seconds > 30:
            waits.append(seconds)
            for called in gapped.slack._called.values():
                called.clear()
        await sleep(min(seconds, 0.05))

    monkeypatch.setattr("tiger_slack_tui.slack.pages.asyncio.sleep", hurried)
    await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert len(waits) >= 2
    assert gapped.results[0].is_restricted


async def test_only_one_backfills_at_a_time(gapped: Gapped) -> None:
    gate = asyncio.Event()

    async def work(run: ActiveRun) -> None:
        await gate.wait()

    named = with_defaults(gapped.conninfo, application_name="other@here:1")
    other = Runner(named, instance="other@here:1", timeout=60)
    task = asyncio.create_task(
        other.run(Job("backfill", BACKFILL_LOCK_KEY, work), reason="by hand")
    )
    await until(lambda: other.running("backfill") is not None)
    skipped = await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert skipped.outcome == "skipped"
    assert "other@here:1" in str(skipped.error)
    gate.set()
    await task


async def test_a_slack_that_fails_leaves_the_gap_open_with_the_reason(gapped: Gapped) -> None:
    gapped.misses(post(NOW - 3 * HOUR))
    gapped.slack.refuse["conversations.history"] = "missing_scope"
    ended = await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert ended.outcome == "incomplete"
    ((closed, tried, error),) = gapped.rows(
        "select closed_at, tried_at is not null, error from slack.gap"
    )
    assert (closed, tried) == (None, True)
    assert "missing_scope" in error
    del gapped.slack.refuse["conversations.history"]
    await gapped.backfill(NOW, NOW)
    assert len(gapped.texts()) == 1


async def test_a_channel_that_slack_does_not_serve_harms_no_other_in_a_gap(gapped: Gapped) -> None:
    gapped.misses(post(NOW - 3 * HOUR, "C1"), post(NOW - 3 * HOUR, "C2"))
    gapped.slack.refuse_channel = {"C1": "fatal_error"}
    ended = await gapped.backfill(NOW - 3.1 * HOUR, NOW - 2 * HOUR)
    assert (ended.outcome, len(gapped.texts())) == ("incomplete", 1)
    ((closed, error),) = gapped.rows("select closed_at, error from slack.gap")
    assert closed is None
    assert error.startswith("1 of 3 channels not read; C1: ")
    assert "fatal_error" in error
    gapped.slack.refuse_channel = {}
    await gapped.backfill(NOW, NOW)
    assert gapped.results[1].is_closed
    assert gapped.rows("select count(*) from slack.message") == [(2,)]
    # It says whose channels these are: others may follow.
    ((progress,),) = gapped.rows("select progress from slack.job_run order by id desc limit 1")
    assert progress.startswith("100 %, history 1, 3 of 3 channels")


async def test_what_happens_while_nothing_runs_is_in_the_tables_after_the_next_start(
    conninfo: str, tmp_path: Path
) -> None:
    """The whole way: stopped, the workspace goes on, started; the gap is found and closed by itself."""
    count, rate = 450, 100
    begin = time.time() - 200 / rate
    workspace = Workspace(3, begin, rate)
    directory = Directory(
        [dict(user) for user in workspace.users], [dict(c) for c in workspace.channels]
    )
    events = list(workspace.events(count))
    heard, missed, after = events[:200], events[200:400], events[400:]
    async with LocalSlack(directory=directory) as slack:
        async with running(make_engine(slack, conninfo, tmp_path)) as engine:
            await slack.send_all(heard)
            await delivered(slack, engine)
            await until(lambda: engine.snapshot().gaps_open == 0)
        for one in missed:
            slack.lose(one)
        await asyncio.sleep(max(begin + 400 / rate - time.time(), 0) + 0.5)
        async with running(make_engine(slack, conninfo, tmp_path)) as engine:
            await slack.send_all(after)
            await delivered(slack, engine)
            await until(lambda: _closed(conninfo) == 1)
            await until(lambda: engine.snapshot().gaps_open == 0)
        expected = Expected()
        for one in events:
            expected.apply(one)
        with psycopg.connect(conninfo) as connection:
            stored = {
                (row[0], slack_ts(row[1])): (row[2], slack_ts(row[3]))
                for row in connection.execute(
                    "select channel_id, ts, text, event_ts from slack.message"
                )
            }
        shown = {
            (channel, m["ts"]): m
            for channel in directory.channels
            for m in directory.messages(channel)
            if m.get("subtype") != "tombstone"
        }
        assert set(shown) <= set(stored)
        for key, message in shown.items():
            text, since = stored[key]
            # Slack tells whole seconds of an edit; one in the second of what we have may be older than that.
            assert text == message["text"] or message["edited"]["ts"] <= since
        # What was deleted meanwhile is gone, but for replies, whose deletion nothing tells, and the oldest.
        with psycopg.connect(conninfo) as connection:
            replies = {
                (row[0], slack_ts(row[1]))
                for row in connection.execute(
                    "select channel_id, ts from slack.message where thread_ts <> ts"
                )
            }
        oldest = {channel: min(ts for c, ts in shown if c == channel) for channel, _ in shown}
        left = set(stored) - set(shown)
        assert left <= expected.tombstones
        assert all(key in replies or key[1] < oldest[key[0]] for key in left)
        assert len(expected.tombstones & set(stored)) < len(expected.tombstones) / 2


def _closed(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "select count(*) from slack.gap where closed_at is not null"
        ).fetchone()
    return int(row[0]) if row else 0

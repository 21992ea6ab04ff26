"""Channels that Slack does not show or serve: what becomes of their histories, and of the others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.gapped import post, web_of
from tests.histories import (
    FIRST,
    NOW,
    SECOND,
    THIRD,
    differences,
    history,
    read_histories,
    states,
)
from tests.support import AT_ONCE
from tiger_slack_tui.audit.why import fetch_message_trail
from tiger_slack_tui.audit.why_lines import why_lines
from tiger_slack_tui.backfill.result import BackfillProgress, GapResult
from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.checks.check import CheckState
from tiger_slack_tui.checks.database import check_database
from tiger_slack_tui.cli.backfill_lines import account_lines
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_due_gaps_job
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.slack.paged_history import SlackHistory
from tiger_slack_tui.slack.web import Page, SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gap_totals import gap_totals


async def test_each_channel_ends_in_a_clear_state_and_harms_no_other(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(7, 70)
    errors = [
        "not_in_channel",
        "channel_not_found",
        "missing_scope",
        "fatal_error",
        "access_denied",
    ]
    async with LocalSlack(directory=directory) as slack:
        channels = list(directory.channels)
        slack.refuse_channel = dict(zip(channels, errors, strict=False))
        ended = await read_histories(slack, conninfo)
        assert ended.outcome == "incomplete"
        assert str(ended.error).startswith("5 of 7 gaps and histories are not finished; history ")
        checks = [check async for check in check_database(conninfo, "it")]
        assert [(c.state, c.found[:22]) for c in checks if c.name == "history"] == [
            (CheckState.WARNING, "5 not read to the end:")
        ]
        found = states(database)
        assert [found[channel][0] for channel in channels] == [False] * 5 + [True] * 2
        for channel, error in zip(channels, errors, strict=False):
            assert error in str(found[channel][1])
        slack.refuse_channel = {}
        await read_histories(slack, conninfo)
    assert set(states(database).values()) == {(True, None)}
    assert differences(conninfo, directory) == []


async def test_a_channel_that_was_deleted_is_owed_no_more(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(3, 60)
    for channel in directory.channels.values():
        channel["is_private"] = channel["id"] == SECOND
    async with LocalSlack(directory=directory) as slack:
        slack.refuse_channel = {FIRST: "channel_not_found", SECOND: "channel_not_found"}
        results: list[GapResult] = []
        await read_histories(slack, conninfo, results=results)
    found = states(database)
    assert [found[c][0] for c in (FIRST, SECOND, THIRD)] == [True, False, True]
    # Nobody says that it was read.
    assert {each.gap.channel_id: each.state for each in results} == {
        FIRST: "given up",
        SECOND: "not finished",
        THIRD: "read to its end",
    }
    assert "3 channels, 1 of them read to the end;" in "\n".join(account_lines(results, {}))
    async with await connect(conninfo) as connection:
        shown = {gap.channel_id: gap.state for gap in await gaps.newest(connection, most=9)}
        assert shown == {FIRST: "given up", SECOND: "not finished", THIRD: "read"}
        totals = await gap_totals(connection)
        asked = SlackTs(f"{NOW - 3600:.6f}")
        why = "\n".join(why_lines(await fetch_message_trail(connection, FIRST, asked)))
    assert (totals.read_histories, totals.given_up_histories, totals.count) == (1, 1, 3)
    assert ": given up 2" in why
    assert "was deleted or made private" in " ".join(why.split())
    assert "deleted" in str(found[FIRST][1])
    members = "select id from slack.channel where is_member"
    assert database.execute(members).fetchall() == [(THIRD,)]
    # Should the app join it after all, its history is owed.
    database.execute("select slack.hear_channel(%s, now())", (FIRST,))
    owed = "select count(*) from slack.gap where reason = 'joined' and started_at = 'epoch'"
    assert database.execute(owed).fetchone() == (1,)


async def test_a_history_that_could_not_be_read_is_tried_at_the_next_start(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, channel_type, is_member) values ('C1', 'a', 'channel', true);"
        "insert into slack.gap (reason, started_at, ended_at, channel_id, tried_at, error)"
        " values ('joined', 'epoch', now(), 'C1', now() - interval '1 minute', 'missing_scope')"
    )
    async with (
        LocalSlack() as slack,
        web_of(slack) as web,
        await connect(conninfo) as connection,
    ):
        is_wanted = make_due_gaps_job(web, is_scheduled=False).is_wanted
        assert is_wanted is not None
        assert await is_wanted(connection)
        database.execute("update slack.gap set tried_at = now()")
        assert not await is_wanted(connection)


async def test_a_gap_is_lost_in_channels_that_the_app_has_left_since(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    directory = history(2, 60)
    directory.channels[SECOND]["is_member"] = False
    database.execute(
        "insert into slack.channel (id, channel_name, channel_type, is_member, heard_since)"
        " values (%(first)s, 'a', 'channel', true, now() - interval '9 hours')"
        ", (%(second)s, 'b', 'channel', false, null);",
        {"first": FIRST, "second": SECOND},
    )
    database.execute(
        "select slack.add_heard(%s, tstzrange(now() - interval '9 hours', now() - interval '1 hour'))",
        (SECOND,),
    )
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at)"
        " values ('not connected', now() - interval '5 hours', now() - interval '4 hours')"
    )
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
    assert database.execute("select count(closed_at), count(*) from slack.gap").fetchone() == (1, 1)
    since = (
        "select c.id, round(extract(epoch from now() - c.complete_since) / 3600)::int from slack.channel c"
        " order by c.id"
    )
    assert database.execute(since).fetchall() == [(FIRST, 9), (SECOND, 4)]
    # What the plan hides is lost, too.
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at)"
        " values ('not connected', now() - interval '3 hours', now() - interval '2 hours')"
    )
    for hours in (2.6, 2.4):
        directory.apply(post(NOW - hours * 3600, FIRST)["event"])
    directory.shows_since = f"{NOW - 2.5 * 3600:.6f}"
    async with LocalSlack(directory=directory) as slack:
        await read_histories(slack, conninfo)
    assert database.execute(since).fetchall() == [(FIRST, 2), (SECOND, 2)]


async def test_an_invitation_during_a_backfill_counts(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, channel_type, is_member)"
        " values (%s, 'a', 'channel', false)",
        (FIRST,),
    )
    database.execute(
        "insert into slack.gap (reason, started_at, ended_at)"
        " values ('not connected', now() - interval '5 hours', now() - interval '4 hours')"
    )

    def invite(_: BackfillProgress) -> None:  # after Slack has said that it is in no such channel
        database.execute("select slack.hear_channel(%s, now())", (FIRST,))
        database.execute("update slack.channel set is_member = true where id = %s", (FIRST,))

    async with LocalSlack(directory=history(2, 60)) as slack:
        slack.refuse_channel = {FIRST: "not_in_channel"}
        await read_histories(slack, conninfo, on_progress=invite)
    heard = "select is_member, heard_since is not null from slack.channel where id = %s"
    assert database.execute(heard, (FIRST,)).fetchone() == (True, True)
    error = "select error from slack.gap where channel_id = %s"
    assert database.execute(error, (FIRST,)).fetchone() == (None,)


async def test_many_channels_that_slack_does_not_serve_end_nothing(
    conninfo: str, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, tries = history(8, 80, replies=0), Counter[str]()
    real = SlackWeb.history_page

    async def page(web: SlackWeb, channel: ChannelId, **options: Any) -> Page:
        tries[channel] += 1
        return await real(web, channel, **options)

    monkeypatch.setattr(SlackWeb, "history_page", page)
    async with LocalSlack(directory=directory) as slack:
        slack.refuse_channel = dict.fromkeys(list(directory.channels)[:6], "fatal_error")
        assert (await read_histories(slack, conninfo)).outcome == "incomplete"
    # After three failures in a row, each channel gets one try.
    assert sorted(tries[channel] for channel in slack.refuse_channel)[:3] == [1, 1, 1]
    assert [closed for closed, _ in states(database).values()] == [False] * 6 + [True] * 2


async def test_a_channel_without_an_id_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(*_: Any) -> Page:
        return Page([{"name": "a"}, {"id": 1}, {"id": "C1"}], None)

    monkeypatch.setattr(SlackWeb, "own_conversations_page", page)
    async with LocalSlack() as slack, web_of(slack) as web:
        found = await SlackHistory(web, AT_ONCE).conversations(["public_channel"])
    assert found == [{"id": "C1"}]


async def test_doctor_names_what_is_not_owed_since_the_app_has_left(
    conninfo: str, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "insert into slack.channel (id, channel_name, is_member) values ('C1', 'a', false);"
        "insert into slack.gap (reason, started_at, ended_at, channel_id, error)"
        " values ('joined', 'epoch', now(), 'C1', 'not_in_channel')"
    )
    checks = [check async for check in check_database(conninfo, "it") if check.name == "history"]
    assert [(check.state, check.found) for check in checks] == [
        (
            CheckState.OK,
            "all that is owed is read, but not the history of 1 channel that the app has left",
        )
    ]

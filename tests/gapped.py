"""A workspace of which events were missed, and the events of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from tests.support import AT_ONCE, delivered, make_engine, running
from tiger_slack_tui.backfill.result import BackfillProgress, GapResult
from tiger_slack_tui.base.settings import JobSettings, SlackSettings
from tiger_slack_tui.demo.slack import LocalSlack
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.slack.paged_history import HistoryPace
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.job_runs import JobRun

NOW = float(int(time.time()))
HOUR = 3600.0


def ts(at: float) -> str:
    return f"{at:.6f}"


def payload(event_id: str, event: dict[str, Any]) -> dict[str, Any]:
    return {"team_id": "T0LOCAL", "type": "event_callback", "event_id": event_id, "event": event}


_ids = iter(f"Ev{n}" for n in range(1_000_000))


def post(at: float, channel: str = "C1", **fields: Any) -> dict[str, Any]:
    event = {"type": "message", "channel": channel, "user": "U1", "text": f"at {at}", "ts": ts(at)}
    event |= {"channel_type": "channel", "event_ts": ts(at), "team": "T0LOCAL"}
    return payload(next(_ids), event | fields)


def edit(at: float, of: dict[str, Any], text: str) -> dict[str, Any]:
    before = {k: v for k, v in of["event"].items() if k not in ("channel", "event_ts")}
    edited = {"user": "U1", "ts": f"{int(at)}.000000"}
    return post(
        at,
        of["event"]["channel"],
        subtype="message_changed",
        message=before | {"text": text, "edited": edited},
    )


def delete(at: float, of: dict[str, Any]) -> dict[str, Any]:
    event = of["event"]
    return post(at, event["channel"], subtype="message_deleted", deleted_ts=event["ts"])


def react(at: float, to: dict[str, Any], name: str = "eyes", kind: str = "added") -> dict[str, Any]:
    item = {"type": "message", "channel": to["event"]["channel"], "ts": to["event"]["ts"]}
    event = {"type": f"reaction_{kind}", "user": "U2", "reaction": name, "item": item}
    return payload(next(_ids), event | {"event_ts": ts(at)})


def reply(at: float, to: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return post(at, to["event"]["channel"], thread_ts=to["event"]["ts"], **fields)


class Gapped:
    """A workspace of which an instance has heard some, and of which it missed some in a gap."""

    def __init__(self, slack: LocalSlack, conninfo: str, home: Path) -> None:
        self.slack = slack
        self.conninfo = conninfo
        self._home = home
        self.results: list[GapResult] = []
        self.shares: list[float] = []
        """The progress that backfills have reported."""

    async def hears(self, *payloads: dict[str, Any]) -> None:
        jobs = JobSettings(backfill=False)
        async with running(make_engine(self.slack, self.conninfo, self._home, jobs=jobs)) as engine:
            await self.slack.send_all(payloads)
            await delivered(self.slack, engine)

    def misses(self, *payloads: dict[str, Any]) -> None:
        for one in payloads:
            self.slack.lose(one)

    async def backfill(
        self,
        begin: float,
        end: float,
        *,
        channel: str | None = None,
        pace: HistoryPace = AT_ONCE,
        is_by_operator: bool = True,
    ) -> JobRun:
        """Close a gap of this time, or go on with the open one."""

        def note(now: BackfillProgress) -> None:
            self.shares.append(now.share)

        async def find(connection: Connection, team: str) -> list[gaps.Gap]:
            due = await gaps.due(connection, team, growing=True)
            found = [gap for gap in due if gap.reason == "by hand"]
            since, until_ = (datetime.fromtimestamp(at, UTC) for at in (begin, end))
            return found or [
                await gaps.add(
                    connection,
                    team=team,
                    since=since,
                    until=until_,
                    channel=channel,
                    instance="test",
                )
            ]

        named = with_defaults(self.conninfo, application_name="test")
        async with web_of(self.slack) as web:
            job = make_chosen_gaps_job(
                web,
                find,
                pace=pace,
                is_by_operator=is_by_operator,
                on_result=self.results.append,
                on_progress=note,
            )
            return await Runner(named, instance="test", timeout=60).run(job, reason="by hand")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.conninfo) as connection:
            return connection.execute(query.encode()).fetchall()

    def texts(self) -> set[str]:
        return {row[0] for row in self.rows("select text from slack.message")}


@asynccontextmanager
async def web_of(slack: LocalSlack, *, give_up_after: int | None = None) -> AsyncIterator[SlackWeb]:
    given = SlackSettings(slack.bot_token, slack.app_token, slack.url)
    async with aiohttp.ClientSession() as session:
        yield SlackWeb(given, session, give_up_after=give_up_after)


def texts_of(*payloads: dict[str, Any]) -> set[str]:
    return {one["event"]["text"] for one in payloads}

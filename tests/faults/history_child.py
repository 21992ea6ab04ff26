"""A backfill as a process that can be killed: it goes on with all histories that are not read, at full speed."""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from tests.support import AT_ONCE
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.base.settings import SlackSettings
from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store import gaps


async def main(conninfo: str, url: str, bot_token: str, app_token: str) -> int:
    async def find(connection: Connection, team: TeamId) -> list[gaps.Gap]:
        return await gaps.due(connection, team, growing=True)

    named = with_defaults(conninfo, application_name="child")
    async with aiohttp.ClientSession() as session:
        web = SlackWeb(SlackSettings(bot_token, app_token, url), session)
        job = make_chosen_gaps_job(web, find, pace=AT_ONCE)
        run = await Runner(named, instance="child", timeout=1e6).run(job, reason="by hand")
    sys.stderr.write(f"{run.outcome} {run.error}\n")
    return 0 if run.outcome == "done" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))

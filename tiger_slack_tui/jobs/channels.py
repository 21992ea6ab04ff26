"""The daily sync of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.sync import sync
from tiger_slack_tui.postgres.lock_keys import CHANNELS_LOCK_KEY

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import SlackWeb


def make_channels_job(web: SlackWeb) -> Job:
    """The job that merges public and private channels of conversations.list into slack.channel."""

    async def work(run: ActiveRun) -> None:
        await sync(run, web.channels_page, "channel", time=web.time.wall)

    return Job("channels", CHANNELS_LOCK_KEY, work)

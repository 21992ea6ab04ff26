"""The daily sync of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiger_slack_tui.jobs.job import ActiveRun, Job
from tiger_slack_tui.jobs.sync import sync
from tiger_slack_tui.postgres.lock_keys import USERS_LOCK_KEY

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import SlackWeb

USERS = "users"
"""The name of the job (slack.job_run.job)."""


def make_users_job(web: SlackWeb) -> Job:
    """The job that merges users.list into slack."user"."""

    async def work(run: ActiveRun) -> None:
        await sync(run, web.users_page, "user", time=web.time.wall)

    return Job(USERS, USERS_LOCK_KEY, work)

"""The list of all jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.jobs.backfill import backfill
from tiger_slack_tui.jobs.channels import load_channels
from tiger_slack_tui.jobs.job import Job
from tiger_slack_tui.jobs.retention import retention
from tiger_slack_tui.jobs.search import index_messages
from tiger_slack_tui.jobs.users import load_users
from tiger_slack_tui.slack.paged_history import HistoryPace

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import SlackWeb


def make_jobs(
    web: SlackWeb | None, settings: JobSettings, *, pace: HistoryPace | None = None
) -> dict[str, Job]:
    """The jobs by name. Without `web`, only those that do not need Slack. `pace` limits the backfill's requests."""
    jobs = []
    if web is not None:
        jobs += [load_users(web), load_channels(web)]
        jobs.append(backfill(web, is_scheduled=settings.backfill, pace=pace))
    jobs += [retention(settings.event_days), index_messages()]
    return {job.name: job for job in jobs}

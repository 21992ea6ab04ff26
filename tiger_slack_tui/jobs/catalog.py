"""The list of all jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiger_slack_tui.base.settings import JobSettings
from tiger_slack_tui.jobs.backfill import make_due_gaps_job
from tiger_slack_tui.jobs.channels import make_channels_job
from tiger_slack_tui.jobs.job import Job
from tiger_slack_tui.jobs.retention import make_retention_job
from tiger_slack_tui.jobs.search import make_search_job
from tiger_slack_tui.jobs.users import make_users_job
from tiger_slack_tui.slack.paged_history import HistoryPace

if TYPE_CHECKING:
    from tiger_slack_tui.slack.web import SlackWeb


def make_jobs(
    web: SlackWeb | None, settings: JobSettings, *, pace: HistoryPace | None = None
) -> dict[str, Job]:
    """The jobs by name. Without `web`, only those that do not need Slack. `pace` limits the backfill's requests."""
    jobs = []
    if web is not None:
        jobs += [make_users_job(web), make_channels_job(web)]
        jobs.append(
            make_due_gaps_job(
                web,
                is_scheduled=settings.backfill,
                history_since=settings.history_since,
                pace=pace,
            )
        )
    jobs += [make_retention_job(settings.event_days), make_search_job()]
    return {job.name: job for job in jobs}

"""`tiger-slack jobs`: runs jobs by hand, or shows how they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import aiohttp
import click
import humanize

from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.telemetry import log_to_stderr
from tiger_slack_tui.cli.questions import ask
from tiger_slack_tui.cli.stopping import run_until_stopped
from tiger_slack_tui.jobs.catalog import make_jobs
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.jobs.status import JobStatus, read_status
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect_session, with_defaults
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store.job_runs import JobRun

_RUNS = 5


class JobFailed(TigerSlackError):
    """A job that was run by hand did not end well."""


def run_by_hand(
    settings: Settings, slack: SlackSettings | None, names: Sequence[str], *, as_json: bool
) -> None:
    """Run the jobs, one after another, and print how each ended.

    Raises JobFailed where one did not end well, and CommandStopped where a signal ended them.
    """
    log_to_stderr(settings)
    with database(settings, session=True) as conninfo:
        work = _run(settings, slack, names, conninfo)
        ended = run_until_stopped(work, hint="slack.job_run tells how far it came.")
    if as_json:
        click.echo(json.dumps([asdict(run) for run in ended], default=str, indent=2))
    else:
        click.echo("\n".join(_run_line(run) for run in ended))
    if bad := [run.job for run in ended if run.outcome not in ("done", "skipped")]:
        raise JobFailed(f"{', '.join(bad)} did not end well.")


def show(settings: Settings, *, as_json: bool) -> None:
    """Print when each job runs next, who holds its lock, and its last runs; change nothing."""
    found = ask(settings, "jobs", lambda c: read_status(c, settings.jobs, most=_RUNS))
    if settings.conninfo is not None and (problem := _session_problem(settings)):
        click.echo(f"warning: The jobs cannot run. {problem}", err=True)
    if as_json:
        click.echo(json.dumps([asdict(job) for job in found], default=str, indent=2))
    else:
        click.echo("\n\n".join(_as_text(job) for job in found))


def _session_problem(settings: Settings) -> TigerSlackError | None:
    """Why the jobs get no session of the server; None where they do."""
    try:
        with database(settings, session=True) as conninfo:
            asyncio.run(_take_session(settings, conninfo))
    except (DatabaseRefused, DatabaseUnavailable) as error:
        return error
    return None


async def _take_session(settings: Settings, conninfo: str) -> None:
    name = f"{settings.service_name} jobs"
    connection = await connect_session(with_defaults(conninfo, application_name=name))
    await connection.close()


async def _run(
    settings: Settings, slack: SlackSettings | None, names: Sequence[str], conninfo: str
) -> list[JobRun]:
    conninfo = with_defaults(conninfo, application_name=settings.instance)
    await migrate(conninfo)
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session) if slack else None
        jobs = make_jobs(web, settings.jobs)
        runner = Runner(conninfo, instance=settings.instance, timeout=settings.jobs.timeout)
        return [await runner.run(jobs[name], reason="by hand") for name in dict.fromkeys(names)]


def _as_text(job: JobStatus) -> str:
    wait = humanize.naturaltime(datetime.now(UTC) - job.next_run)
    lines = [
        f"{job.name}: next run {job.next_run:%Y-%m-%d %H:%M %Z} ({wait}), schedule {job.schedule}",
        f"  lock  {f'held by {job.holder}' if job.holder else 'free'}",
    ]
    lines += [f"  {_run_line(run)}" for run in job.runs] or ["  never ran"]
    return "\n".join(lines)


def _run_line(run: JobRun) -> str:
    took = f"{(run.finished_at - run.started_at).total_seconds():.1f} s" if run.finished_at else "-"
    line = (
        f"{run.started_at:%Y-%m-%d %H:%M:%S}  {run.job:<9} {run.outcome or 'running':<9} {took:>8}"
        f"  {run.rows_seen:,} seen, {run.rows_changed:,} changed, {run.rows_failed:,} failed"
        f"  {run.reason}, {run.instance}"
    )
    return f"{line}\n    {run.error}" if run.error else line

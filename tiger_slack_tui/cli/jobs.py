"""`tiger-slack jobs`: runs jobs now, or shows their schedule and last runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import DatabaseRefused, DatabaseUnavailable, TigerSlackError
from tiger_slack_tui.base.log_setup import log_of_command
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.text import amount
from tiger_slack_tui.base.times import duration
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.cli.stopping import run_until_stopped
from tiger_slack_tui.jobs.runner import RUNNER_LOG, Runner
from tiger_slack_tui.jobs.status import JobStatus, fetch_status
from tiger_slack_tui.postgres.connection import with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.lock_keys import JOB_LOCK_KEYS
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect_session
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason

_RUNS = 5
"""Runs of each job that `--status` shows."""
_GOOD = (RunOutcome.DONE, RunOutcome.SKIPPED)


class JobFailed(TigerSlackError):
    """A job failed, was stopped, or took too long."""


@click.command()
@click.argument(
    "names", metavar="[JOB]...", nargs=-1, type=options.WordChoice("job", tuple(JOB_LOCK_KEYS))
)
@click.option(
    "--status",
    is_flag=True,
    help="Show when each job runs next, which instance runs it now, and its last runs.",
)
@options.as_json
@plain_errors
def jobs(names: tuple[str, ...], status: bool, as_json: bool) -> None:
    """Run jobs now, or show their schedule and last runs.

    The jobs are users, channels, retention, backfill and search. Without names, users and channels run. A job that
    another instance runs now is skipped.
    """
    if status:
        _show(settings.load(), as_json=as_json)
    elif names and set(names) <= {"retention", "search"}:  # these do not need Slack
        _run_jobs(settings.load(), None, names, as_json=as_json)
    else:
        _run_jobs(*settings.load_with_slack(), names or ("users", "channels"), as_json=as_json)


def _run_jobs(
    loaded: Settings, slack: SlackSettings | None, names: Sequence[str], *, as_json: bool
) -> None:
    """Run the jobs one after another, and print how each ended.

    Raises JobFailed if one was neither done nor skipped, and CommandStopped after a signal.
    """
    log_of_command(loaded, printed=[RUNNER_LOG])
    with database(loaded, creates=True, session=True) as conninfo:
        work = _run(loaded, slack, names, conninfo)
        ended = run_until_stopped(
            work, conninfo, hint=lambda: "To see how far the job came: tiger-slack jobs --status"
        )
    if as_json:
        click.echo(json.dumps([asdict(run) for run in ended], default=str, indent=2))
    else:
        click.echo("\n".join(line for run in ended for line in _run_lines(run)))
    incomplete = [run.job for run in ended if run.outcome == RunOutcome.INCOMPLETE]
    failed = [run.job for run in ended if run.outcome not in _GOOD and run.job not in incomplete]
    left = [
        f"{amount(len(jobs), 'job')} {how}: {', '.join(jobs)}"
        for jobs, how in ((failed, "failed"), (incomplete, "incomplete"))
        if jobs
    ]
    if left:
        raise JobFailed("; ".join(left))


def _show(loaded: Settings, *, as_json: bool) -> None:
    """Print the jobs. Warn on stderr if they cannot run because there is no session of the server for their locks."""
    found = run_query(loaded, "jobs", lambda c: fetch_status(c, loaded.jobs, most=_RUNS))
    if loaded.conninfo is not None and (problem := _session_problem(loaded)):
        click.echo(f"warning: The jobs cannot run. {problem}", err=True)
    if as_json:
        click.echo(json.dumps([asdict(job) for job in found], default=str, indent=2))
    else:
        click.echo("\n\n".join(_as_text(job) for job in found))


def _session_problem(loaded: Settings) -> TigerSlackError | None:
    """Why the jobs cannot have a session of the server for their locks; None if they can."""
    try:
        with database(loaded, session=True) as conninfo:
            asyncio.run(_open_session(loaded, conninfo))
    except (DatabaseRefused, DatabaseUnavailable) as error:
        return error
    return None


async def _open_session(loaded: Settings, conninfo: str) -> None:
    name = f"{loaded.service_name} jobs"
    connection = await connect_session(with_defaults(conninfo, application_name=name))
    await connection.close()


async def _run(
    loaded: Settings, slack: SlackSettings | None, names: Sequence[str], conninfo: str
) -> list[JobRun]:
    # These take long to import, and --status does not need them.
    import aiohttp

    from tiger_slack_tui.jobs.catalog import make_jobs
    from tiger_slack_tui.slack.web import BY_HAND_FAILURES, SlackWeb

    conninfo = with_defaults(conninfo, application_name=loaded.instance)
    await migrate(conninfo)
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session, give_up_after=BY_HAND_FAILURES) if slack else None
        made = make_jobs(web, loaded.jobs)
        runner = Runner(conninfo, instance=loaded.instance, timeout=loaded.jobs.timeout)
        return [
            await runner.run(made[name], reason=RunReason.BY_HAND) for name in dict.fromkeys(names)
        ]


def _as_text(job: JobStatus) -> str:
    wait = duration(job.next_run - datetime.now(UTC))
    lines = [
        f"{job.name}: next run {format_time(job.next_run)}, in {wait}; schedule {job.schedule}",
        *wrapped(f"lock  {f'held by {job.holder}' if job.holder else 'free'}", 2, hang=6),
    ]
    lines += [line for run in job.runs for line in _run_lines(run, 2)] or ["  has not run yet"]
    return "\n".join(lines)


def _run_lines(run: JobRun, indent: int = 0) -> Iterator[str]:
    took = f", {duration(run.finished_at - run.started_at)}" if run.finished_at else ""
    running = "running" if run.percent is None else f"running, {run.percent} % done"
    if run.progress:
        running = f"running, {run.progress}"
    began = format_time(run.started_at)
    yield from wrapped(f"{began}  {run.job} {run.outcome or running}{took}", indent, hang=4)
    rows = f"{run.rows_seen:,} seen, {run.rows_changed:,} changed, {run.rows_failed:,} failed"
    yield from wrapped(f"{rows}; {run.reason}, {run.instance}", indent + 4)
    if run.error:
        yield from wrapped(run.error, indent + 4)

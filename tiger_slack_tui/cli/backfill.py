"""`tiger-slack backfill`: closes gaps and reads histories from Slack, or shows them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.ids import TeamId
from tiger_slack_tui.base.log_setup import log_of_command
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.backfill_figures import BackfillFigures
from tiger_slack_tui.cli.backfill_lines import account_lines, plan_lines, result_json, result_lines
from tiger_slack_tui.cli.backfill_request import (
    BackfillRequest,
    find_all,
    gap_finder,
    own_channels,
    plan_histories,
)
from tiger_slack_tui.cli.backfill_status import show_status
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped, wrapped_item
from tiger_slack_tui.cli.progress import progress
from tiger_slack_tui.cli.stopping import CommandStopped, run_until_stopped
from tiger_slack_tui.jobs.runner import RUNNER_LOG, Runner
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason
from tiger_slack_tui.store.names import marked_names
from tiger_slack_tui.store.running_backfill import running_backfill

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.plan import HistoryPlan
    from tiger_slack_tui.backfill.result import GapResult
    from tiger_slack_tui.jobs.backfill import FindGaps
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.web import SlackWeb

_SHOWN = 20
"""Gaps and histories that `--status` shows by default."""
_MOST_NAMED = 5
"""Most gaps that the command to continue names."""
_LONGEST = 366 * 86_400.0
"""Seconds that a backfill may take. At 50 calls a minute, years of history take days."""
_ENDED = (RunOutcome.DONE, RunOutcome.INCOMPLETE)
"""The outcomes of a run that came to its end. Of an incomplete one, the results say what is left."""


@dataclass(slots=True)
class _BackfillEnd:
    """What became of the command so far."""

    run: JobRun | None = None
    """None before it has ended."""
    results: list[GapResult] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Names of the channels with #, by id."""
    plan: HistoryPlan | None = None
    """If there is only a plan to show."""

    @property
    def exit_code(self) -> int:
        if self.run is None or self.run.outcome not in _ENDED:
            return 1
        return 3 if any(result.error for result in self.results) else 0


@click.command()
@click.option(
    "--gap",
    "gap_ids",
    metavar="ID",
    type=options.GAP_ID,
    multiple=True,
    help="Close only this gap; repeatable.",
)
@click.option(
    "--history",
    "history_ids",
    metavar="ID",
    type=options.HISTORY_ID,
    multiple=True,
    help="Go on with only this history, which --status lists; repeatable.",
)
@click.option(
    "--channel",
    "channels",
    metavar="CHANNEL",
    multiple=True,
    help="With --all or --since: read only this channel: a name, an id, or a pattern such as ops-*; repeatable.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help=f"Read all of the history since then: {options.WHEN}.",
)
@click.option(
    "--until",
    metavar="WHEN",
    help="With --since: read the history until then; a date means the end of its day.",
)
@click.option(
    "--all",
    is_flag=True,
    help="Read the whole history of every channel that the app is a member of, with --since only from then on.",
)
@click.option(
    "--plan", is_flag=True, help="With --all: say what there is to read, and read nothing."
)
@click.option(
    "--slow",
    is_flag=True,
    help="With --all: read also if Slack allows the app only one call a minute, which takes days.",
)
@click.option(
    "--status", is_flag=True, help="Show gaps and histories, open ones first; change nothing."
)
@click.option(
    "--limit",
    type=options.Number(1, 100_000),
    metavar="N",
    help=f"With --status: show at most N (default: {_SHOWN}).",
)
@options.as_json
@plain_errors
def backfill(
    status: bool,
    limit: int | None,
    as_json: bool,
    gap_ids: tuple[int, ...],
    history_ids: tuple[int, ...],
    **given: Any,
) -> None:
    """Close gaps and read histories from Slack, or show them.

    A gap is a time in which live events may be missing. A history is what is to be read of before: since the app
    joined a channel, or because you ask for it. Without options, all of them that have ended are read. A backfill
    that was stopped continues where it stopped, also with --gap ID, --history ID or --all.

    Exit code 0: all is read; 3: Slack shows only a part, or limits the app's rate; 1: it failed or was stopped; 2:
    wrong arguments or settings.
    """
    if status:
        show_status(settings.load(), most=limit or _SHOWN, as_json=as_json)
        return
    if limit is not None:
        raise SettingsError("--limit needs --status.")
    request = BackfillRequest(gap_ids=(*gap_ids, *history_ids), as_json=as_json, **given)
    sys.exit(_backfill(*settings.load_with_slack(), request))


def _backfill(loaded: Settings, slack: SlackSettings, request: BackfillRequest) -> int:
    """Close the gaps, print what became of each, and return the exit code.

    Raises SettingsError for wrong arguments, and what keeps the job from starting.
    """
    request.check()
    log_of_command(loaded, printed=[RUNNER_LOG])
    with (
        database(loaded, creates=True, session=True) as conninfo,
        progress(has_terminal=sys.stderr.isatty()) as printer,
    ):
        named = with_defaults(conninfo, application_name=loaded.instance)
        shown = BackfillFigures(printer)
        ended = _BackfillEnd()
        work = _run(loaded, slack, request, named, shown, ended)
        stopped: CommandStopped | None = None
        try:
            run_until_stopped(work, named, hint=lambda: _how_to_continue(request, shown.gaps))
        except CommandStopped as error:
            stopped = error
    if stopped is not None:
        if ended.results:
            _print(ended, request, shown.gaps)
        raise stopped
    if ended.plan is not None:
        _print_plan(ended.plan, request)
        return 0 if request.plan else 3
    _print(ended, request, shown.gaps)
    return ended.exit_code


async def _run(
    loaded: Settings,
    slack: SlackSettings,
    request: BackfillRequest,
    conninfo: str,
    shown: BackfillFigures,
    ended: _BackfillEnd,
) -> None:
    """Read the gaps, and note in `ended` what became of them, or the plan if there is only one to show."""
    # These take long to import, and --status does not need them.
    import aiohttp

    from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.web import BY_HAND_FAILURES, SlackWeb

    await migrate(conninfo)
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session, give_up_after=BY_HAND_FAILURES)
        history = SlackHistory(web, on_wait=shown.wait)
        if request.all:
            find = await _plan(web, history, request, conninfo, loaded.instance, shown, ended)
        else:
            find = await gap_finder(request, conninfo, web, loaded.instance)
        if find is None:
            return

        async def find_and_count(connection: Connection, team: TeamId) -> list[Gap]:
            found = await find(connection, team)
            shown.begin(found)
            return found

        job = make_chosen_gaps_job(
            web,
            find_and_count,
            history=history,
            history_since=None if request.all else loaded.jobs.history_since,
            is_by_operator=True,
            is_patient=request.slow or not request.all,
            on_result=ended.results.append,
            on_progress=shown.show,
            on_wait=shown.note,
        )
        runner = Runner(conninfo, instance=loaded.instance, timeout=_LONGEST)
        ended.run = await runner.run(job, reason=RunReason.BY_HAND)
        if not ended.names:
            ids = {result.gap.channel_id for result in ended.results if result.gap.channel_id}
            async with await connect(conninfo) as connection:
                ended.names = await marked_names(connection, ids)


async def _plan(
    web: SlackWeb,
    history: SlackHistory,
    request: BackfillRequest,
    conninfo: str,
    instance: str,
    shown: BackfillFigures,
    ended: _BackfillEnd,
) -> FindGaps | None:
    """Print the plan of `--all`, and return what finds its histories; None if there is only the plan, in `ended`."""
    own = await own_channels(web, history, request, conninfo)
    ended.names |= {item["id"]: f"#{item['name']}" for item in own if item.get("name")}
    if request.plan or not await _is_running(conninfo):  # else the job says so
        plan = await plan_histories(web, history, request, own, conninfo)
        shown.planned = plan.time.total_seconds()
        if request.plan or (plan.is_restricted and not request.slow):
            ended.plan = plan
            return None
        for line in plan_lines(plan, is_slow=request.slow):
            shown.print(line)
    return find_all(request, [item["id"] for item in own], instance)


async def _is_running(conninfo: str) -> bool:
    async with await connect(conninfo) as connection:
        return await running_backfill(connection) is not None


def _print_plan(plan: HistoryPlan, request: BackfillRequest) -> None:
    """Print the plan of a backfill that does not begin."""
    if request.plan and request.as_json:
        click.echo(json.dumps(asdict(plan), default=str, indent=2))
        return
    is_result = request.plan  # else it says why nothing was read
    for line in plan_lines(plan, is_slow=request.slow):
        click.echo("\n".join(wrapped(line, hang=2, err=not is_result)), err=not is_result)


def _how_to_continue(request: BackfillRequest, gaps_: Sequence[Gap]) -> str:
    """The command that continues a backfill of these gaps."""
    if request.all:
        return f"To continue: {request.command}"
    named = "".join(f" --{gap.title}" for gap in gaps_) if len(gaps_) <= _MOST_NAMED else ""
    return f"To continue: tiger-slack backfill{named}"


def _print(ended: _BackfillEnd, request: BackfillRequest, gaps_: Sequence[Gap]) -> None:
    if not request.as_json:
        click.echo("\n".join(_as_text(ended, request, gaps_)))
        return
    outcome, error = (ended.run.outcome, ended.run.error) if ended.run else ("cancelled", None)
    gaps_json = [result_json(result) for result in ended.results]
    found = {"outcome": outcome, "error": error, "gaps": gaps_json}
    click.echo(json.dumps(found, default=str, indent=2))


def _as_text(ended: _BackfillEnd, request: BackfillRequest, gaps_: Sequence[Gap]) -> Iterator[str]:
    histories = [result for result in ended.results if result.gap.is_history]
    is_short = request.all or len(histories) > 1
    for result in ended.results:
        if not (is_short and result.gap.is_history):
            for line in result_lines(result):
                yield from wrapped_item(line)
    if is_short and histories:
        for line in account_lines(histories, ended.names):
            yield from wrapped_item(line)
    run = ended.run
    if run is None:
        return
    if not ended.results and run.outcome == RunOutcome.DONE:
        yield "There are no gaps to close, and no histories to read."
    if run.outcome == RunOutcome.SKIPPED:
        yield from wrapped(f"Nothing was read, because a backfill runs already: {run.error}.")
        yield "Its progress: tiger-slack backfill --status"
    elif run.outcome not in _ENDED:
        why = f"The backfill is incomplete ({run.outcome}): {run.error or ''}"
        yield from wrapped(why, hang=2)
        yield from wrapped(f"What it read is stored. {_how_to_continue(request, gaps_)}")

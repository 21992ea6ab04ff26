"""`tiger-slack backfill`: closes gaps with messages from Slack's history, or shows gaps."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import NotFound, SettingsError
from tiger_slack_tui.base.ids import ChannelId, TeamId
from tiger_slack_tui.base.log_setup import log_of_command
from tiger_slack_tui.base.name_patterns import NamePatterns, suggestion
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.base.times import duration, parse_period
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.backfill_all import account_lines, plan_lines
from tiger_slack_tui.cli.backfill_figures import BackfillFigures
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.cli.progress import progress
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.cli.stopping import run_until_stopped
from tiger_slack_tui.jobs.runner import RUNNER_LOG, Runner
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.database import database
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason
from tiger_slack_tui.store.names import channels_by_name, marked_names

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.result import GapResult
    from tiger_slack_tui.jobs.backfill import FindGaps
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.web import SlackWeb

_SHOWN = 20
"""Gaps that `--status` shows."""
_MOST_NAMED = 5
"""Most gaps that the command to continue names."""
_BEGINNING = datetime.fromtimestamp(0, UTC)
"""Slack has no earlier messages."""
_LONGEST = 366 * 86_400.0
"""Seconds that a backfill may take. At 50 calls a minute, years of history take days."""

_ENDED = (RunOutcome.DONE, RunOutcome.INCOMPLETE)
"""The outcomes of a run that came to its end. Of an incomplete one, the results say what is left."""


class NoSuchGap(NotFound):
    """No gap has this number."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """The arguments, as they were given."""

    gap_ids: tuple[int, ...]
    channels: tuple[str, ...]
    since: str | None
    until: str | None
    as_json: bool
    all: bool = False
    slow: bool = False
    plan: bool = False

    @property
    def command(self) -> str:
        """The command that goes on with `--all`."""
        given = [f"--channel {shlex.quote(visible(name))}" for name in self.channels]
        given += [f"--since {shlex.quote(visible(self.since))}"] if self.since else []
        return " ".join(["tiger-slack backfill --all", *given, *(["--slow"] if self.slow else [])])


@dataclass(slots=True)
class _BackfillEnd:
    run: JobRun
    results: list[GapResult]
    names: dict[str, str] = field(default_factory=dict)
    """Names of the channels, by id."""

    @property
    def exit_code(self) -> int:
        if self.run.outcome not in _ENDED:
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
@click.option("--status", is_flag=True, help="Show the newest gaps; change nothing.")
@options.as_json
@plain_errors
def backfill(status: bool, as_json: bool, **given: Any) -> None:
    """Close gaps with messages from Slack's history, or show gaps.

    A gap is a time in which events may not have reached any instance. Without options, all gaps that have ended are
    closed. A backfill that was stopped continues where it stopped, also with --gap ID or --all.

    Exit code 0: all gaps are closed; 3: Slack shows only a part, or limits the app's rate; 1: it failed or was
    stopped; 2: wrong arguments or settings.
    """
    if status:
        _show_gaps(settings.load(), as_json=as_json)
    else:
        sys.exit(_backfill(*settings.load_with_slack(), BackfillRequest(as_json=as_json, **given)))


def _backfill(loaded: Settings, slack: SlackSettings, request: BackfillRequest) -> int:
    """Close the gaps, print what became of each, and return the exit code.

    Raises SettingsError for wrong arguments, and what keeps the job from starting.
    """
    _check_request(request)
    log_of_command(loaded, printed=[RUNNER_LOG])
    with (
        database(loaded, creates=True, session=True) as conninfo,
        progress(has_terminal=sys.stderr.isatty()) as printer,
    ):
        named = with_defaults(conninfo, application_name=loaded.instance)
        shown = BackfillFigures(printer)
        work = _run(loaded, slack, request, named, shown)
        ended = run_until_stopped(work, named, hint=lambda: _how_to_continue(request, shown.gaps))
    if ended is None:  # a plan without a backfill
        return 3 if shown.is_restricted and not request.plan else 0
    if request.as_json:
        click.echo(json.dumps(_as_json(ended), default=str, indent=2))
    else:
        click.echo("\n".join(_as_text(ended, request, shown.gaps)))
    return ended.exit_code


def _check_request(request: BackfillRequest) -> None:
    """Raises SettingsError for options that exclude each other."""
    if request.until is not None and (request.since is None or request.all):
        raise SettingsError("--until needs --since, and excludes --all.")
    if request.channels and request.since is None and not request.all:
        raise SettingsError("--channel needs --all or --since.")
    if (request.plan or request.slow) and not request.all:
        raise SettingsError("--plan and --slow need --all.")
    if request.gap_ids and (request.since is not None or request.all):
        raise SettingsError("--gap excludes --since and --all: a gap has its own times.")


def _show_gaps(loaded: Settings, *, as_json: bool) -> None:
    """Print the newest gaps, open ones first."""

    async def read(connection: Connection) -> tuple[list[Gap], dict[str, str]]:
        found = await gaps.newest(connection, most=_SHOWN)
        ids = {gap.channel_id for gap in found if gap.channel_id}
        return found, await marked_names(connection, ids)

    found, names = run_query(loaded, "backfill", read)
    if as_json:
        click.echo(json.dumps([asdict(gap) for gap in found], default=str, indent=2))
    elif found:
        click.echo("\n".join(line for gap in found for line in _gap_lines(gap, names)))
    else:
        click.echo("There are no gaps.")


async def _run(
    loaded: Settings,
    slack: SlackSettings,
    request: BackfillRequest,
    conninfo: str,
    shown: BackfillFigures,
) -> _BackfillEnd | None:
    # These take long to import, and --status does not need them.
    import aiohttp

    from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.web import BY_HAND_FAILURES, SlackWeb

    await migrate(conninfo)
    results: list[GapResult] = []
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session, give_up_after=BY_HAND_FAILURES)
        history, names = SlackHistory(web), dict[str, str]()
        if request.all:
            own = await _own_channels(web, history, request, conninfo)
            names |= {item["id"]: item["name"] for item in own if item.get("name")}
            if not await _show_plan(web, history, request, own, shown):
                return None
            find = _find_all(request, [item["id"] for item in own], loaded.instance)
        else:
            find = await _gap_finder(request, conninfo, web, loaded.instance)

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
            on_result=results.append,
            on_progress=shown.show,
        )
        runner = Runner(conninfo, instance=loaded.instance, timeout=_LONGEST)
        return _BackfillEnd(await runner.run(job, reason=RunReason.BY_HAND), results, names)


async def _own_channels(
    web: SlackWeb, history: SlackHistory, request: BackfillRequest, conninfo: str
) -> list[dict[str, Any]]:
    """The conversations to read. Raises SettingsError if there are none, or for an unknown channel."""
    from tiger_slack_tui.backfill.gap_backfill import readable_kinds
    from tiger_slack_tui.slack.pages import retry

    identity = await retry(web.identity)
    own = await history.conversations(readable_kinds(identity.scopes))
    if request.channels:
        wanted = _matching(own, await _stored_names(conninfo), request.channels)
        own = [item for item in own if item["id"] in wanted]
    if not own:
        raise SettingsError(
            "The app is a member of no channel.",
            hint="Slack shows the history of a channel only to its members: invite the app.",
        )
    return own


async def _show_plan(
    web: SlackWeb,
    history: SlackHistory,
    request: BackfillRequest,
    own: Sequence[Mapping[str, Any]],
    shown: BackfillFigures,
) -> bool:
    """Print what there is to read. Returns whether it is to be read."""
    from tiger_slack_tui.backfill.plan import make_plan
    from tiger_slack_tui.slack.pages import pages

    now = datetime.now(UTC)
    since, _ = parse_period(request.since, None, now)
    listed = [item async for page in pages(web.channels_page) for item in page.items]
    plan = await make_plan(history, own, listed, since=since, now=now)
    shown.is_restricted = plan.is_restricted
    if request.plan and request.as_json:
        click.echo(json.dumps(asdict(plan), default=str, indent=2))
        return False
    for line in plan_lines(plan, is_slow=request.slow):
        # Beside an account, the plan is no result.
        click.echo(line) if request.plan else shown.print(line)
    return not request.plan and (request.slow or not plan.is_restricted)


def _find_all(request: BackfillRequest, channels: Sequence[ChannelId], instance: str) -> FindGaps:
    """The function that finds the histories of these channels."""
    now = datetime.now(UTC)
    since, _ = parse_period(request.since, None, now)
    begin = max(since or _BEGINNING, _BEGINNING)
    if begin >= now:
        raise SettingsError("--since is in the future.")

    async def find(connection: Connection, team: TeamId) -> list[Gap]:
        return await gaps.add_histories(
            connection,
            team=team,
            channels=channels,
            since=begin,
            until=max(min(now, await gaps.database_time(connection)), begin),
            instance=instance,
        )

    return find


async def _gap_finder(
    request: BackfillRequest, conninfo: str, web: SlackWeb, instance: str
) -> FindGaps:
    """The function that finds the job's gaps once it has its lock. Raises SettingsError for wrong arguments."""
    if request.gap_ids:
        await _check_gaps(request.gap_ids, conninfo)
    now = datetime.now(UTC)
    since, end = parse_period(request.since, request.until, now)
    until = min(end or now, now)
    if since and since >= until:
        raise SettingsError("--since is in the future.")
    channels: list[ChannelId | None] = [None]
    if request.channels:
        from tiger_slack_tui.slack.paged_history import SlackHistory

        own = await _own_channels(web, SlackHistory(web), request, conninfo)
        channels = [item["id"] for item in own]

    async def find(connection: Connection, team: TeamId) -> list[Gap]:
        if request.gap_ids:
            return await gaps.get(connection, request.gap_ids)
        if since is None:
            return await gaps.due(connection, team, growing=True)
        ended = max(min(until, await gaps.database_time(connection)), since)
        async with connection.transaction():
            return [
                await gaps.add(
                    connection,
                    team=team,
                    since=since,
                    until=ended,
                    channel=channel,
                    instance=instance,
                )
                for channel in channels
            ]

    return find


async def _check_gaps(ids: Sequence[int], conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        found = {gap.id: gap for gap in await gaps.get(connection, ids)}
    for number in ids:
        if number not in found:
            raise NoSuchGap(
                f"There is no gap {number}.", hint="To list the gaps: tiger-slack backfill --status"
            )
        if found[number].ended_at is None:
            raise SettingsError(f"Gap {number} has not ended yet: events may still be missing.")


async def _stored_names(conninfo: str) -> Mapping[str, Sequence[ChannelId]]:
    """The ids of channels by the names that the database knows, with earlier ones."""
    async with await connect(conninfo) as connection:
        return await channels_by_name(connection)


def _matching(
    listed: Sequence[Mapping[str, Any]],
    stored: Mapping[str, Sequence[ChannelId]],
    wanted: Sequence[str],
) -> set[ChannelId]:
    """The ids of channels that are given by name, id or pattern. Raises SettingsError for an unknown one."""
    ids = [item["id"] for item in listed]
    names = {item["id"]: [item["name"]] for item in listed if item.get("name")}
    by_name = [name for (name,) in names.values()]
    for earlier, known in stored.items():
        for id_ in known:
            names.get(id_, []).append(earlier)
    found: set[ChannelId] = set()
    for name in dict.fromkeys(wanted):
        patterns = NamePatterns([name])
        matching = [id_ for id_ in ids if patterns.match(id_, *names.get(id_, ()))]
        if not matching:
            meant = suggestion(name, by_name, before="#")
            invite = "Slack shows the history of a channel only to its members: invite the app."
            raise SettingsError(
                f"The app is in no channel that matches {visible(name)!r}.",
                hint=f"{meant} {invite}" if meant else invite,
            )
        found |= set(matching)
    return found


def _how_to_continue(request: BackfillRequest, gaps_: Sequence[Gap]) -> str:
    """The command that continues a backfill of these gaps."""
    if request.all:
        return f"To continue: {request.command}"
    named = "".join(f" --gap {gap.id}" for gap in gaps_) if len(gaps_) <= _MOST_NAMED else ""
    return f"To continue: tiger-slack backfill{named}"


def _as_json(ended: _BackfillEnd) -> dict[str, Any]:
    return {
        "outcome": ended.run.outcome,
        "error": ended.run.error,
        "gaps": [
            {
                "id": result.gap.id,
                "reason": result.gap.reason,
                "started_at": result.gap.started_at,
                "ended_at": result.gap.ended_at,
                "channel_id": result.gap.channel_id,
                "is_closed": result.is_closed,
                "error": result.error,
            }
            | result.as_json()
            for result in ended.results
        ],
    }


def _as_text(ended: _BackfillEnd, request: BackfillRequest, gaps_: Sequence[Gap]) -> Iterator[str]:
    if request.all and ended.results:
        yield from account_lines(ended.results, ended.names)
    for result in ended.results if not request.all else ():
        gap, messages = result.gap, result.messages
        state = "closed" if result.is_closed else "still open"
        yield f"gap {gap.id}, {gap.reason}: {state}"
        yield f"  {_time_of(gap)}"
        skipped = sum(result.skipped_channels.values())
        channels = f"{amount(result.channels, 'channel')} read, {skipped:,} skipped"
        yield f"  {channels}, {amount(result.threads, 'thread')}, {amount(result.deleted, 'deletion')} found"
        yield (
            f"  {messages.read:,} messages read = {messages.inserted:,} inserted"
            f" + {messages.already_there:,} already there + {messages.updated:,} updated"
        )
        yield (
            f"    + {sum(messages.discarded.values()):,} discarded"
            f" + {sum(messages.skipped.values()):,} skipped"
        )
        if result.error:
            yield from wrapped(result.error, 2)
    if not ended.results and ended.run.outcome == RunOutcome.DONE:
        yield "There are no gaps to close."
    if ended.run.outcome == RunOutcome.SKIPPED:
        yield from wrapped(f"Nothing was read, because a backfill runs already: {ended.run.error}.")
        yield "Its progress: tiger-slack jobs --status"
    elif ended.run.outcome not in _ENDED:
        why = f"The backfill is incomplete ({ended.run.outcome}): {ended.run.error or ''}"
        yield from wrapped(why, hang=2)
        yield f"What it read is stored. {_how_to_continue(request, gaps_)}"


def _gap_lines(gap: Gap, names: Mapping[str, str]) -> Iterator[str]:
    where = ""
    if gap.channel_id:
        where = f", {cut(names.get(gap.channel_id, ''), 30)} {gap.channel_id}".replace("  ", " ")
    if gap.ended_at is None:
        state = "not ended"
    elif gap.closed_at is None:
        state = "not finished" if gap.reason == gaps.BY_HAND else "open"
    else:
        inserted = ((gap.account or {}).get("messages") or {}).get("inserted", 0)
        state = f"closed, {amount(inserted, 'message')} inserted"
    yield f"gap {gap.id}, {gap.reason}{where}: {state}"
    yield f"    {_time_of(gap)}"
    if gap.closed_at is not None:
        yield f"    closed {format_time(gap.closed_at)}"
    elif gap.error:
        yield from wrapped(f"{format_time(gap.tried_at)}: {gap.error}", 4)


def _time_of(gap: Gap) -> str:
    if gap.ended_at is None:
        return f"since {format_time(gap.started_at)}"
    if gap.started_at <= _BEGINNING:
        return f"from the beginning until {format_time(gap.ended_at)}"
    return f"{format_time(gap.started_at)}, {duration(gap.ended_at - gap.started_at)}"

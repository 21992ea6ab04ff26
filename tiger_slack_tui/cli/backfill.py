"""`tiger-slack backfill`: closes gaps with messages from Slack's history, or shows gaps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from tiger_slack_tui.cli.backfill_figures import BackfillFigures
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import wrapped
from tiger_slack_tui.cli.progress import progress
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.cli.stopping import run_until_stopped
from tiger_slack_tui.jobs.runner import RUNNER_LOG, Runner
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import JobRun, RunOutcome, RunReason
from tiger_slack_tui.store.names import channels_by_name, marked_names

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.result import GapResult
    from tiger_slack_tui.jobs.backfill import FindGaps
    from tiger_slack_tui.slack.web import SlackWeb

_SHOWN = 20
"""Gaps that `--status` shows."""
_MOST_NAMED = 5
"""Most gaps that the command to continue names."""
_LONGEST = 366 * 86_400.0
"""Seconds that a backfill may take. At 50 calls a minute, years of history take days."""


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


@dataclass(slots=True)
class _BackfillEnd:
    run: JobRun
    results: list[GapResult]

    @property
    def exit_code(self) -> int:
        if self.run.outcome != RunOutcome.DONE:
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
    help="With --since: read only this channel: a name, an id, or a pattern such as ops-*; repeatable.",
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
@click.option("--status", is_flag=True, help="Show the newest gaps; change nothing.")
@options.as_json
@plain_errors
def backfill(status: bool, as_json: bool, **given: Any) -> None:
    """Close gaps with messages from Slack's history, or show gaps.

    A gap is a time in which events may not have reached any instance. Without options, all gaps that have ended are
    closed. A backfill that was stopped continues where it stopped, also with --gap ID.

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
    if (request.channels or request.until is not None) and request.since is None:
        raise SettingsError("--channel and --until need --since.")
    if request.gap_ids and request.since is not None:
        raise SettingsError("--gap and --since exclude each other: a gap has its own times.")
    log_of_command(loaded, printed=[RUNNER_LOG])
    with (
        database(loaded, creates=True, session=True) as conninfo,
        progress(has_terminal=sys.stderr.isatty()) as printer,
    ):
        named = with_defaults(conninfo, application_name=loaded.instance)
        shown = BackfillFigures(printer)
        work = _run(loaded, slack, request, named, shown)
        ended = run_until_stopped(work, named, hint=lambda: _how_to_continue(shown.gaps))
    if request.as_json:
        click.echo(json.dumps(_as_json(ended), default=str, indent=2))
    else:
        click.echo("\n".join(_as_text(ended, shown.gaps)))
    return ended.exit_code


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
) -> _BackfillEnd:
    # These take long to import, and --status does not need them.
    import aiohttp

    from tiger_slack_tui.jobs.backfill import make_chosen_gaps_job
    from tiger_slack_tui.slack.web import BY_HAND_FAILURES, SlackWeb

    await migrate(conninfo)
    results: list[GapResult] = []
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session, give_up_after=BY_HAND_FAILURES)
        find = await _gap_finder(request, conninfo, web, loaded.instance)

        async def find_and_count(connection: Connection, team: TeamId) -> list[Gap]:
            found = await find(connection, team)
            shown.begin(found)
            return found

        job = make_chosen_gaps_job(
            web,
            find_and_count,
            is_by_operator=True,
            on_result=results.append,
            on_progress=shown.show,
        )
        runner = Runner(conninfo, instance=loaded.instance, timeout=_LONGEST)
        return _BackfillEnd(await runner.run(job, reason=RunReason.BY_HAND), results)


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
        async with await connect(conninfo) as connection:
            stored = await channels_by_name(connection)
        channels = await _channel_ids(web, stored, request.channels)

    async def find(connection: Connection, team: TeamId) -> list[Gap]:
        if request.gap_ids:
            return await gaps.get(connection, request.gap_ids)
        if since is None:
            return await gaps.due(connection, team, growing=True)
        async with connection.transaction():
            return [
                await gaps.add(
                    connection,
                    team=team,
                    since=since,
                    until=until,
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


async def _channel_ids(
    web: SlackWeb, stored: Mapping[str, Sequence[ChannelId]], wanted: Sequence[str]
) -> list[ChannelId | None]:
    """The ids of channels that are given by name, id or pattern. Raises SettingsError for an unknown one.

    `stored` has the ids by names that the database knows, with earlier ones.
    """
    from tiger_slack_tui.backfill.gap_backfill import readable_kinds
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.pages import retry

    identity = await retry(web.identity)
    reader = SlackHistory(web)
    listed = await reader.conversations(readable_kinds(identity.scopes))
    ids = [item["id"] for item in listed]
    names = {item["id"]: [item["name"]] for item in listed if item.get("name")}
    by_name = [name for (name,) in names.values()]
    for earlier, known in stored.items():
        for id_ in known:
            names.get(id_, []).append(earlier)
    found: dict[ChannelId, None] = {}
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
        found |= dict.fromkeys(matching)
    return list(found)


def _how_to_continue(gaps_: Sequence[Gap]) -> str:
    """The command that continues a backfill of these gaps."""
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


def _as_text(ended: _BackfillEnd, gaps_: Sequence[Gap]) -> Iterator[str]:
    for result in ended.results:
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
    if ended.run.outcome != RunOutcome.DONE:
        why = f"The backfill is incomplete ({ended.run.outcome}): {ended.run.error or ''}"
        yield from wrapped(why, hang=2)
        yield f"What it read is stored. {_how_to_continue(gaps_)}"


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
    return f"{format_time(gap.started_at)}, {duration(gap.ended_at - gap.started_at)}"

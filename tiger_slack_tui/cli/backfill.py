"""`tiger-slack backfill`: closes gaps from Slack's history, or shows them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import click
import humanize

from tiger_slack_tui.backfill.backfill import BackfillProgress, GapResult, readable_kinds
from tiger_slack_tui.base.errors import SettingsError
from tiger_slack_tui.base.settings import Settings, SlackSettings
from tiger_slack_tui.base.telemetry import log_to_stderr
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.base.times import read_time
from tiger_slack_tui.cli.questions import ask
from tiger_slack_tui.cli.stopping import run_until_stopped
from tiger_slack_tui.jobs.backfill import close_gaps
from tiger_slack_tui.jobs.runner import Runner
from tiger_slack_tui.launch import database
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.migrate.run import migrate
from tiger_slack_tui.postgres.pool import connect, with_defaults
from tiger_slack_tui.slack.paged_history import HistoryReader
from tiger_slack_tui.slack.pages import patiently
from tiger_slack_tui.slack.web import SlackWeb
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.job_runs import JobRun

_SHOWN = 20
_LINE_SECONDS = 5.0
_LONGEST = 366 * 86_400.0
"""An operator who asks for years of history may wait for them."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """The command line, as it was given."""

    gaps: tuple[int, ...]
    channels: tuple[str, ...]
    since: str | None
    until: str | None
    as_json: bool


@dataclass(slots=True)
class _Ended:
    run: JobRun
    results: list[GapResult]

    @property
    def exit_code(self) -> int:
        if self.run.outcome != "done":
            return 1
        return 3 if any(result.error for result in self.results) else 0


def run_backfill(settings: Settings, slack: SlackSettings, request: BackfillRequest) -> int:
    """Close the gaps asked for, and print what became of each; the exit code.

    Raises SettingsError for what is wrong with the command line, and what keeps the run from beginning.
    """
    if (request.channels or request.until is not None) and request.since is None:
        raise SettingsError("--channel and --until need --since: from when shall be read?")
    if request.gaps and request.since is not None:
        raise SettingsError("--gap has its own time: leave out --since.")
    log_to_stderr(settings)
    with database(settings, session=True) as conninfo:
        named = with_defaults(conninfo, application_name=settings.instance)
        work = _run(settings, slack, request, named)
        ended = run_until_stopped(work, hint="tiger-slack backfill goes on from here.")
    if request.as_json:
        click.echo(json.dumps(_as_json(ended), default=str, indent=2))
    else:
        click.echo("\n".join(_as_text(ended)))
    return ended.exit_code


def show_gaps(settings: Settings, *, as_json: bool) -> None:
    """Print the newest gaps, open ones first; change nothing."""
    found = ask(settings, "backfill", lambda c: gaps.newest(c, most=_SHOWN))
    if as_json:
        click.echo(json.dumps([asdict(gap) for gap in found], default=str, indent=2))
    else:
        click.echo("\n".join(map(_gap_line, found)) or "There are no gaps.")


async def _run(
    settings: Settings, slack: SlackSettings, request: BackfillRequest, conninfo: str
) -> _Ended:
    await migrate(conninfo)
    results: list[GapResult] = []
    async with aiohttp.ClientSession(trust_env=True) as session:
        web = SlackWeb(slack, session)
        find = await _find(request, conninfo, web, settings.instance)
        job = close_gaps(web, find, tell=results.append, progress=_Lines().show)
        runner = Runner(conninfo, instance=settings.instance, timeout=_LONGEST)
        return _Ended(await runner.run(job, reason="by hand"), results)


async def _find(request: BackfillRequest, conninfo: str, web: SlackWeb, instance: str) -> Any:
    """What finds the gaps once the lock is held; what is wrong with the command line shows now."""
    if request.gaps:
        await _check_gaps(request.gaps, conninfo)
    now = datetime.now(UTC)
    since = until = None
    if request.since is not None:
        since = read_time(request.since, now, "--since")
    if request.until is not None:
        until = read_time(request.until, now, "--until", is_end=True)
    until = min(until or now, now)
    if since and since >= until:
        raise SettingsError("--since is not before --until: no message is between them.")
    channels = await _channel_ids(web, request.channels) if request.channels else [None]

    async def find(connection: Connection, team: str) -> list[Gap]:
        if request.gaps:
            return await gaps.get(connection, request.gaps)
        if since is None:
            return await gaps.due(connection, team, growing=True)
        return [
            await gaps.add(
                connection, team=team, since=since, until=until, channel=channel, instance=instance
            )
            for channel in channels
        ]

    return find


async def _check_gaps(ids: Sequence[int], conninfo: str) -> None:
    async with await connect(conninfo) as connection:
        found = {gap.id: gap for gap in await gaps.get(connection, ids)}
    for number in ids:
        if number not in found:
            raise SettingsError(
                f"There is no gap {number}.", hint="See: tiger-slack backfill --status"
            )
        if found[number].ended_at is None:
            raise SettingsError(f"Gap {number} still goes on: wait for its end.")


async def _channel_ids(web: SlackWeb, wanted: Sequence[str]) -> list[str | None]:
    """The ids of the channels, which may be given by name. Raises SettingsError for an unknown one."""
    identity = await patiently(web.identity)
    reader = HistoryReader(web)
    listed = await reader.conversations(readable_kinds(identity.scopes))
    by_name = {item["name"]: item["id"] for item in listed if item.get("name")}
    ids = {item["id"] for item in listed}
    found: list[str | None] = []
    for name in dict.fromkeys(wanted):
        id_ = name if name in ids else by_name.get(name.removeprefix("#"))
        if id_ is None:
            raise SettingsError(
                f"The app is in no channel {visible(name)!r}.",
                hint="Invite it: Slack shows a channel's history to members only.",
            )
        found.append(id_)
    return found


class _Lines:
    """Says on stderr how it goes, every few seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_SECONDS
        self._read = 0

    def show(self, progress: BackfillProgress) -> None:
        self._read += progress.account.read
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            click.echo(
                f"gap {progress.gap.id}: {progress.channels_done:,} of {progress.channels:,} channels"
                f" read, {self._read:,} messages in all",
                err=True,
            )


def _as_json(ended: _Ended) -> dict[str, Any]:
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
            | result.account
            for result in ended.results
        ],
    }


def _as_text(ended: _Ended) -> Iterator[str]:
    for result in ended.results:
        gap, messages = result.gap, result.messages
        state = "closed" if result.is_closed else "stays open"
        yield f"gap {gap.id}, {gap.reason}, {_time_of(gap)}: {state}"
        skipped = sum(result.skipped_channels.values())
        channels = f"{result.channels:,} channels read, {skipped:,} skipped"
        yield f"  {channels}, {result.threads:,} threads, {result.deleted:,} deletions found"
        yield (
            f"  {messages.read:,} messages read = {messages.inserted:,} inserted"
            f" + {messages.already_there:,} already there + {messages.updated:,} updated"
            f" + {sum(messages.discarded.values()):,} discarded"
            f" + {sum(messages.skipped.values()):,} skipped"
        )
        if result.error:
            yield f"  {result.error}"
    if not ended.results and ended.run.outcome == "done":
        yield "There is no gap to close."
    if ended.run.outcome != "done":
        yield f"The backfill {ended.run.outcome}: {visible(ended.run.error or '')}"
        yield "What was read is kept; tiger-slack backfill goes on from there."


def _gap_line(gap: Gap) -> str:
    where = f", channel {gap.channel_id}" if gap.channel_id else ""
    line = f"gap {gap.id}, {gap.reason}{where}, {_time_of(gap)}: "
    if gap.ended_at is None:
        return line + "goes on"
    if gap.closed_at is None:
        return line + (f"open: {visible(gap.error)}" if gap.error else "open")
    inserted = ((gap.account or {}).get("messages") or {}).get("inserted", 0)
    return line + f"closed {gap.closed_at:%Y-%m-%d %H:%M}, {inserted:,} messages inserted"


def _time_of(gap: Gap) -> str:
    begin = f"{gap.started_at:%Y-%m-%d %H:%M:%S}"
    if gap.ended_at is None:
        return f"since {begin} UTC"
    lasted = humanize.precisedelta(
        gap.ended_at - gap.started_at, minimum_unit="seconds", format="%d"
    )
    return f"{begin} UTC, {lasted}"

"""What `tiger-slack backfill` is to read: its arguments, and the channels, gaps and histories that they mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tiger_slack_tui.base.errors import NotFound, SettingsError
from tiger_slack_tui.base.ids import ChannelId, TeamId
from tiger_slack_tui.base.name_patterns import NamePatterns, suggestion
from tiger_slack_tui.base.text import visible
from tiger_slack_tui.base.times import parse_period
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.gaps import Gap
from tiger_slack_tui.store.history_plan import begun_histories, grown_threads
from tiger_slack_tui.store.names import channels_by_name

if TYPE_CHECKING:
    from tiger_slack_tui.backfill.plan import HistoryPlan
    from tiger_slack_tui.jobs.backfill import FindGaps
    from tiger_slack_tui.slack.paged_history import SlackHistory
    from tiger_slack_tui.slack.web import SlackWeb

_BEGINNING = datetime.fromtimestamp(0, UTC)
"""Slack has no earlier messages."""


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

    def check(self) -> None:
        """Raises SettingsError for options that exclude each other, and for a wrong --since of --all."""
        if self.until is not None and (self.since is None or self.all):
            raise SettingsError("--until needs --since, and excludes --all.")
        if self.channels and self.since is None and not self.all:
            raise SettingsError("--channel needs --all or --since.")
        if (self.plan or self.slow) and not self.all:
            raise SettingsError("--plan and --slow need --all.")
        if self.gap_ids and (self.since is not None or self.all):
            raise SettingsError(
                "--gap and --history exclude --since and --all: a gap or a history has its own times."
            )
        if self.all:  # before Slack is asked for a plan
            _begin(self, datetime.now(UTC))


async def own_channels(
    web: SlackWeb, history: SlackHistory, request: BackfillRequest, conninfo: str
) -> list[dict[str, Any]]:
    """The conversations to read. Raises SettingsError if there are none, or for an unknown channel."""
    from tiger_slack_tui.backfill.gap_backfill import readable_kinds
    from tiger_slack_tui.slack.pages import retry

    identity = await retry(web.identity, on_wait=history.on_wait)
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


async def plan_histories(
    web: SlackWeb,
    history: SlackHistory,
    request: BackfillRequest,
    own: Sequence[Mapping[str, Any]],
    conninfo: str,
) -> HistoryPlan:
    """What is left to read of these conversations."""
    from tiger_slack_tui.backfill.plan import make_plan
    from tiger_slack_tui.slack.pages import pages

    now = datetime.now(UTC)
    since = _begin(request, now)
    listing = pages(web.channels_page, on_wait=history.on_wait)
    listed = [item async for page in listing for item in page.items]
    async with await connect(conninfo) as connection:
        begun = await begun_histories(
            connection,
            [item["id"] for item in own],
            since=since or _BEGINNING,
            until=now,
        )
        count_threads = partial(grown_threads, connection)
        plan = await make_plan(
            history, own, listed, since=since, now=now, begun=begun, count_threads=count_threads
        )
    # Who names channels does not ask for others.
    return replace(plan, not_joined=0) if request.channels else plan


def _begin(request: BackfillRequest, now: datetime) -> datetime | None:
    """When the history begins that is asked for; None for all. Raises SettingsError."""
    since, _ = parse_period(request.since, None, now)
    if since is None:
        return None
    if since >= now:
        raise SettingsError("--since is in the future.")
    return max(since, _BEGINNING)


def find_all(request: BackfillRequest, channels: Sequence[ChannelId], instance: str) -> FindGaps:
    """The function that finds the histories of these channels."""
    now = datetime.now(UTC)
    begin = _begin(request, now) or _BEGINNING

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


async def gap_finder(
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

        own = await own_channels(web, SlackHistory(web), request, conninfo)
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
                f"There is no gap or history {number}.",
                hint="To list them: tiger-slack backfill --status",
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

"""Values for a shell to complete, from the database. The shell waits for them: they come soon, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from click.shell_completion import CompletionItem

from tiger_slack_tui.base import settings
from tiger_slack_tui.base.text import cut
from tiger_slack_tui.postgres.connection import Connection, with_defaults
from tiger_slack_tui.postgres.database import database, is_running
from tiger_slack_tui.postgres.pool import connected
from tiger_slack_tui.store import gaps
from tiger_slack_tui.store.rules import list_rules

_SECONDS = 1.0
_MOST = 50
"""Most gaps or histories that are offered."""
_HELP = 60
"""Most columns of what a shell shows beside a value."""

Values = Iterable[tuple[int, str]]
"""Numbers, and what each stands for."""


def rule_ids() -> list[CompletionItem]:
    """The rules that are on or off."""
    return _items(_rules)


def open_gap_ids() -> list[CompletionItem]:
    """The newest gaps that are not closed."""
    return _items(lambda connection: _open(connection, is_loss=True))


def unread_history_ids() -> list[CompletionItem]:
    """The newest histories that are not read to their end."""
    return _items(lambda connection: _open(connection, is_loss=False))


async def _rules(connection: Connection) -> Values:
    return [(rule.id, rule.note or rule.match) for rule in await list_rules(connection)]


async def _open(connection: Connection, *, is_loss: bool) -> Values:
    found = await gaps.newest(connection, most=10 * _MOST)
    wanted = [gap for gap in found if gap.is_loss is is_loss and gap.closed_at is None]
    return [(gap.id, f"{gap.reason} {gap.channel_id or ''}".rstrip()) for gap in wanted[:_MOST]]


def _items(query: Callable[[Connection], Awaitable[Values]]) -> list[CompletionItem]:
    """The query's values; none if anything is wrong, because a shell would print an error into the command line."""
    try:
        loaded = settings.load()
        if not is_running(loaded):
            return []
        with database(loaded) as conninfo:
            name = f"{loaded.service_name} completion"
            values = asyncio.run(_ask(with_defaults(conninfo, application_name=name), query))
    except Exception:
        return []
    return [CompletionItem(str(number), help=cut(what, _HELP)) for number, what in values]


async def _ask(conninfo: str, query: Callable[[Connection], Awaitable[Values]]) -> Values:
    async with asyncio.timeout(_SECONDS), connected(conninfo) as connection:
        return await query(connection)

"""`tiger-slack why`: explains why a message is stored, or why it is not."""

from __future__ import annotations

import re

import click

from tiger_slack_tui.audit.why import (
    MessageHistory,
    Verdict,
    read_history,
)
from tiger_slack_tui.audit.why_lines import why_lines
from tiger_slack_tui.audit.words import format_user
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, cut, visible
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.events import show_event
from tiger_slack_tui.cli.output import echo_json
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.slack.ts import read_permalink, read_ts
from tiger_slack_tui.store.message_history import (
    MessageOfSecond,
    messages_of_second,
)
from tiger_slack_tui.store.names import find_channel

_EVENT_ID = re.compile(r"Ev[A-Z0-9]+|sha256:[0-9a-f]+")


class NotKnown(TigerSlackError):
    """Nothing is known about the message."""


@click.command()
@click.argument("channel", metavar="CHANNEL|PERMALINK|EVENT_ID")
@click.argument("ts", required=False)
@options.as_json
@plain_errors
def why(channel: str, ts: str | None, as_json: bool) -> None:
    """Explain why a message is stored, or why it is not.

    Name the message by CHANNEL (id or name) and TS, or by its link in Slack (PERMALINK). A TS of whole seconds lists
    the messages of that second. With an EVENT_ID, the command shows the event.

    Exit code 1: nothing is known about the message.
    """
    if ts is None and _EVENT_ID.fullmatch(channel):
        show_event(settings.load(), channel, as_json=as_json)
        return
    linked = read_permalink(channel) if ts is None else None
    exact = linked[1] if linked else read_ts(ts or "")
    if exact is None:
        raise click.UsageError(
            "Name the message by CHANNEL and TS (1700000000.000100), or by its link in Slack."
        )
    is_second = not linked and "." not in (ts or "")
    channel = linked[0] if linked else channel
    _explain(settings.load(), channel, exact, is_second=is_second, as_json=as_json)


def _explain(loaded: Settings, channel: str, ts: str, *, is_second: bool, as_json: bool) -> None:
    """Print the history of the message, or the messages of the second if there are several.

    Raises NotKnown, after it printed what it found.
    """
    spool = loaded.home / "spool"

    async def find(connection: Connection) -> MessageHistory | list[MessageOfSecond]:
        channel_id = await find_channel(connection, channel)
        exact = ts
        if is_second:
            messages = await messages_of_second(connection, channel_id, ts)
            if len(messages) > 1:
                return messages
            exact = messages[0].slack_ts if messages else ts
        return await read_history(connection, channel_id, exact, spool=spool)

    found = run_query(loaded, "why", find)
    if isinstance(found, list):
        _show_second(channel, found, as_json=as_json)
        return
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(why_lines(found)))
    if found.verdict in (Verdict.NEVER_DELIVERED, Verdict.BEFORE_TRAIL):
        raise NotKnown("Nothing is known about this message.")


def _show_second(channel: str, messages: list[MessageOfSecond], *, as_json: bool) -> None:
    """Print the messages of a second."""
    if as_json:
        echo_json({"messages": messages})
        return
    click.echo(f"{amount(len(messages), 'message')} of that second:")
    for message in messages:
        who = format_user(message.user_id, message.user_name, 24)
        head = f"  {message.slack_ts}  {who}  "
        click.echo(head + cut(message.text or "(not stored)", max(79 - len(head), 8)))
    click.echo(f"→ to explain one: tiger-slack why {visible(channel)} {messages[0].slack_ts}")

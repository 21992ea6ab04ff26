"""`tiger-slack why`: explains why a message is stored, or why it is not."""

from __future__ import annotations

import asyncio
import re

import click

from tiger_slack_tui.audit.readable import readable_trail
from tiger_slack_tui.audit.reference import MessageReference, how_to_name
from tiger_slack_tui.audit.why import MessageTrail, Verdict
from tiger_slack_tui.audit.why_lines import second_lines, why_lines
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import NotFound
from tiger_slack_tui.base.ids import EventId
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.events import show_event
from tiger_slack_tui.cli.output import echo_json
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.message_trail import MessageOfSecond

_EVENT_ID = re.compile(r"Ev[A-Z0-9]+|sha256:[0-9a-f]+")


class NotKnown(NotFound):
    """Nothing is known about the message."""


@click.command()
@click.argument("channel", metavar="CHANNEL|PERMALINK|EVENT_ID")
@click.argument("ts", required=False)
@options.as_json
@plain_errors
def why(channel: str, ts: str | None, as_json: bool) -> None:
    """Explain why a message is stored, or why it is not.

    Name the message by CHANNEL (id or name) and TS, or by its link in Slack (PERMALINK). A TS of whole seconds, or
    one that no message has, lists the messages of that second. With an EVENT_ID, the command shows the event.

    Exit code 1: nothing is known about the message.
    """
    if ts is None and _EVENT_ID.fullmatch(channel):
        show_event(settings.load(), EventId(channel), as_json=as_json)
        return
    message = MessageReference.parse(channel, ts)
    if message is None:
        raise click.UsageError(how_to_name(channel, ts))
    _explain(settings.load(), message, as_json=as_json)


def _explain(loaded: Settings, message: MessageReference, *, as_json: bool) -> None:
    """Print the trail of the message, or the messages of the second if there are several.

    Raises NotKnown, after it printed what it found.
    """
    spooled = asyncio.run(message.read_spool(loaded.home / "spool"))

    async def explain(connection: Connection) -> MessageTrail | list[MessageOfSecond]:
        found = await message.explain(connection, spooled)
        return found if as_json else await readable_trail(connection, found)

    found = run_query(loaded, "why", explain)
    if as_json:
        echo_json({"messages": found} if isinstance(found, list) else found)
    elif isinstance(found, list):
        click.echo("\n".join(second_lines(message, found)))
    else:
        click.echo("\n".join(why_lines(found)))
    if isinstance(found, list):
        is_known = message.is_second
    else:
        is_known = found.verdict not in (Verdict.NEVER_DELIVERED, Verdict.BEFORE_TRAIL)
    if not is_known:
        raise NotKnown("Nothing is known about this message.")

"""The commands about the audit trail: parse, call. What they do is elsewhere, and imported only when one runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tiger_slack_tui.cli.errors import plain_errors

if TYPE_CHECKING:
    from tiger_slack_tui.cli.discard import Wanted

F = TypeVar("F", bound=Callable[..., Any])

_OUTCOMES = ("stored", "discarded", "audit", "failed", "unrouted")

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_json_lines = click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each.")
_RULE_ID = click.IntRange(1, 2**31 - 1)
"""What fits into slack.message_discard.id."""
_rule_id = click.argument("rule_id", metavar="ID", type=_RULE_ID)
_since = click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="Test messages from then on: a date, a time, or a duration such as 12h, 7d, 4w.",
)


def _rule(command: F) -> F:
    """The arguments that describe a rule."""
    for decorate in (
        click.option("--app", metavar="ID", help="Ready rule: messages of one app."),
        click.option("--user", metavar="USER", help="Ready rule: messages of one user (id, name)."),
        click.option("--channel", metavar="CHANNEL", help="Ready rule: one channel (id, name)."),
        click.option("--bots", is_flag=True, help="Ready rule: messages of bots."),
        click.option("--joins", is_flag=True, help="Ready rule: joins and leaves."),
        click.argument("match", metavar="[JSONPATH]", required=False),
    ):
        command = decorate(command)
    return command


def _wanted(match: str | None, ready: dict[str, Any]) -> Wanted:
    """What was described. Raises UsageError where that is not one rule."""
    from tiger_slack_tui.cli.discard import Wanted

    given = [(name, value) for name, value in ready.items() if value]
    if (match is not None) + len(given) != 1:
        raise click.UsageError(
            "Name one rule: a JSONPATH, or one of --joins, --bots, --channel, --user, --app."
        )
    if match is not None:
        return Wanted(match)
    name, value = given[0]
    return Wanted(None, name, None if value is True else value)


@click.group()
def discard() -> None:
    """Rules that keep messages out of slack.message; every event stays in the audit trail.

    A rule is a jsonpath condition over the message, such as: $.subtype == "channel_join"
    """


@discard.command(name="list")
@_json_lines
@plain_errors
def discard_list(as_json: bool) -> None:
    """Show each rule: how often it matched, when last, and when it was made."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import show

    show(settings.load(), as_json=as_json)


@discard.command(name="test")
@_rule
@_since
@_json
@plain_errors
def discard_test(match: str | None, since: str, as_json: bool, **ready: Any) -> None:
    """Show how many messages a rule would have kept away, with examples; change nothing."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import test

    test(settings.load(), _wanted(match, ready), since, as_json=as_json)


@discard.command(name="add")
@_rule
@click.option("--note", help="What the rule is for.")
@_since
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
@plain_errors
def discard_add(
    match: str | None, note: str | None, since: str, yes: bool, as_json: bool, **ready: Any
) -> None:
    """Make a rule, after showing what it would have kept away; every instance follows it at once."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import add

    add(settings.load(), _wanted(match, ready), note, since, yes=yes, as_json=as_json)


@discard.command(name="off")
@_rule_id
@plain_errors
def discard_off(rule_id: int) -> None:
    """Turn a rule off; it keeps its number."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import turn_off

    turn_off(settings.load(), rule_id)


@discard.command(name="on")
@_rule_id
@plain_errors
def discard_on(rule_id: int) -> None:
    """Turn a rule on again."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import turn_on

    turn_on(settings.load(), rule_id)


@discard.command(name="remove")
@_rule_id
@plain_errors
def discard_remove(rule_id: int) -> None:
    """End a rule for good. What it kept away comes back with `replay --discarded-by`."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.discard import remove

    remove(settings.load(), rule_id)


@click.command()
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="What became of them.")
@click.option("--type", metavar="TYPE", help="Slack's type, such as message, reaction_added.")
@click.option("--channel", metavar="CHANNEL", help="Channel, by id or name.")
@click.option("--user", metavar="USER", help="User, by id or name.")
@click.option(
    "--discarded-by", "rule", metavar="ID", type=_RULE_ID, help="Rule that discarded them."
)
@click.option("--since", metavar="WHEN", help="A date, a time, or a duration such as 12h, 7d.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on with those that come.")
@_json_lines
@plain_errors
def events(limit: int, follows: bool, as_json: bool, **filters: Any) -> None:
    """Show the events received, the newest first, and what became of each."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.events import EventsWanted, show_events

    wanted = EventsWanted(**filters)
    show_events(settings.load(), wanted, limit=limit, follows=follows, as_json=as_json)


@click.command()
@click.argument("event_id")
@_json
@plain_errors
def event(event_id: str, as_json: bool) -> None:
    """Show one event whole: payload, outcome and why, deliveries, the row that it ended in."""
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.events import show_event

    show_event(settings.load(), event_id, as_json=as_json)


@click.command()
@click.argument("channel", metavar="CHANNEL|PERMALINK")
@click.argument("ts", required=False)
@_json
@plain_errors
def why(channel: str, ts: str | None, as_json: bool) -> None:
    """Show why a message is in the table, or not: CHANNEL (id or name) and TS, or its link in Slack.

    Exit code 1 where nothing came about it.
    """
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.why import show

    show(settings.load(), channel, ts, as_json=as_json)


@click.command()
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All events that failed.")
@click.option(
    "--discarded-by", "rule", metavar="ID", type=_RULE_ID, help="All that a rule discarded."
)
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would become of them.")
@_json
@plain_errors
def replay(
    event_ids: tuple[str, ...], failed: bool, rule: int | None, dry_run: bool, as_json: bool
) -> None:
    """Put events of the audit trail through the same code again, under the rules of now. Harmless to repeat."""
    from tiger_slack_tui.audit.replay import Selection
    from tiger_slack_tui.base import settings
    from tiger_slack_tui.cli.replay import run_replay

    if failed + (rule is not None) + bool(event_ids) != 1:
        raise click.UsageError("Name events by --failed, --discarded-by or their EVENT_IDs.")
    selection = Selection(failed=failed, rule=rule, event_ids=tuple(dict.fromkeys(event_ids)))
    run_replay(settings.load(), selection, dry_run=dry_run, as_json=as_json)


COMMANDS = (discard, events, event, why, replay)

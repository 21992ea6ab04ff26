"""`tiger-slack discard`: the rules that discard messages."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.preview import Preview, previews
from tiger_slack_tui.audit.preview_lines import preview_lines
from tiger_slack_tui.audit.readable import readable_preview
from tiger_slack_tui.audit.rule_names import names_in, with_names
from tiger_slack_tui.audit.rules import READY_RULES
from tiger_slack_tui.audit.words import format_time
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import amount, visible
from tiger_slack_tui.base.times import parse_time
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.groups import SuggestingGroup
from tiger_slack_tui.cli.output import echo_json
from tiger_slack_tui.cli.queries import last, query_runner, run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.store.names import find_channel, find_user
from tiger_slack_tui.store.rules import Rule, SameRule, list_rules

_PREVIEW_SECONDS = 30.0
"""Time after which a preview ends, with the messages that it has tested by then."""
_ON = "Every instance discards messages by it from now on. Stored messages stay."

F = TypeVar("F", bound=Callable[..., Any])

_yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_rule_id = click.argument("rule_id", metavar="ID", type=options.RULE_ID)
_since = click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help=f"Test the messages since then: {options.WHEN}.",
)


@dataclass(frozen=True, slots=True)
class RuleRequest:
    """The rule that the command line describes: a jsonpath, or a ready rule's name and value."""

    match: str | None
    ready: str | None = None
    value: str | None = None


def _rule_options(command: F) -> F:
    """Add the arguments that describe a rule; see `_parse_rule`."""
    for decorate in (
        click.option("--app", metavar="ID", help="Ready rule: messages of this app."),
        click.option("--user", metavar="USER", help="Ready rule: messages of this user."),
        click.option("--channel", metavar="CHANNEL", help="Ready rule: messages of this channel."),
        click.option("--bots", is_flag=True, help="Ready rule: messages of bots."),
        click.option("--joins", is_flag=True, help="Ready rule: notices of joins and leaves."),
        click.argument("match", metavar="[JSONPATH]", required=False),
    ):
        command = decorate(command)
    return command


def _parse_rule(match: str | None, ready: dict[str, Any]) -> RuleRequest:
    """The rule that the arguments describe. Raises UsageError unless they describe exactly one."""
    given = [(name, value) for name, value in ready.items() if value]
    if (match is not None) + len(given) != 1:
        raise click.UsageError(
            "Give one rule: JSONPATH, --joins, --bots, --channel, --user or --app."
        )
    if match is not None:
        return RuleRequest(match)
    name, value = given[0]
    return RuleRequest(None, name, None if value is True else value)


@click.group(cls=SuggestingGroup)
def discard() -> None:
    """Manage the rules that discard messages.

    A rule is a jsonpath condition over the message, such as: $.subtype == "channel_join". A message that matches is
    not stored in slack.message. Its events stay in the audit trail.
    """


@discard.command(name="list")
@options.as_json_lines
@plain_errors
def discard_list(as_json: bool) -> None:
    """List the rules and how often each matched."""
    found, names = run_query(settings.load(), "discard", _rules_with_names)
    if as_json:
        for rule in found:
            echo_json(rule)
    elif found:
        click.echo("\n".join(line for rule in found for line in _rule_lines(rule, names)))
    else:
        click.echo("There are no rules: every message is stored.")
        click.echo("To add one: tiger-slack discard add --help")


@discard.command(name="test")
@_rule_options
@_since
@options.as_json
@plain_errors
def discard_test(match: str | None, since: str, as_json: bool, **ready: Any) -> None:
    """Show what a rule would have discarded; change nothing."""
    loaded, request = settings.load(), _parse_rule(match, ready)
    start = parse_time(since, datetime.now(UTC), "--since")

    async def check_and_preview(connection: Connection) -> tuple[str, Preview]:
        match = await _jsonpath(connection, request)
        await rules.check_rule(connection, match)
        names = await names_in(connection, match)
        shown = with_names(match, names)
        return shown, await _preview(connection, match, start, as_json=as_json)

    match, preview = run_query(loaded, "discard", check_and_preview)
    if as_json:
        echo_json(preview)
    else:
        click.echo("\n".join(_preview_lines(match, preview)))


@discard.command(name="add")
@_rule_options
@click.option("--note", help="What the rule is for.")
@_since
@_yes
@options.as_json
@plain_errors
def discard_add(
    match: str | None, note: str | None, since: str, yes: bool, as_json: bool, **ready: Any
) -> None:
    """Add a rule, after showing what it would have discarded.

    Every instance applies it at once.
    """
    _add(settings.load(), _parse_rule(match, ready), note, since, yes=yes, as_json=as_json)


@discard.command(name="off")
@_rule_id
@plain_errors
def discard_off(rule_id: int) -> None:
    """Turn a rule off; it keeps its id."""
    with query_runner(settings.load(), "discard") as run:
        rule = run(lambda c: rules.require_rule(c, rule_id))
        is_changed = run(lambda c: rules.turn_rule_off(c, rule_id))
    _say_ended(rule, "is off." if is_changed else "is off already.")


@discard.command(name="on")
@_rule_id
@plain_errors
def discard_on(rule_id: int) -> None:
    """Turn a rule on again."""
    if run_query(settings.load(), "discard", lambda c: rules.turn_rule_on(c, rule_id)):
        click.echo(f"Rule {rule_id} is on.\n{_ON}")
    else:
        click.echo(f"Rule {rule_id} is on already.")


@discard.command(name="remove")
@_rule_id
@_yes
@plain_errors
def discard_remove(rule_id: int, yes: bool) -> None:
    """Remove a rule for good, after asking.

    `tiger-slack replay --discarded-by ID` stores the messages that it discarded.
    """
    with query_runner(settings.load(), "discard") as run:
        rule = run(lambda c: rules.require_rule(c, rule_id))
        if not yes:
            names = run(lambda c: names_in(c, rule.match))
            click.echo("\n".join(_rule_lines(rule, names)))
            _confirm("Remove this rule for good?", "remove")
        run(lambda c: rules.remove_rule(c, rule_id))
    _say_ended(rule, "is removed.")


def _say_ended(rule: Rule, ended: str) -> None:
    """Say that the rule discards nothing more, and how to store what it discarded, if a replay can."""
    click.echo(f"Rule {rule.id} {ended}")
    if rule.hits:
        click.echo(
            f"To store the messages that it discarded: tiger-slack replay --discarded-by {rule.id}"
        )


def _confirm(question: str, verb: str, *, as_json: bool = False) -> None:
    """Ask at the terminal. Raises Abort if the answer is no, and UsageError if there is no terminal to ask."""
    if as_json or not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask: add --yes to {verb} the rule.")
    click.confirm(question, abort=True)


def _add(
    loaded: Settings,
    request: RuleRequest,
    note: str | None,
    since: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Add the rule, after its preview and the operator's consent, unless there is the same one."""
    start = parse_time(since, datetime.now(UTC), "--since")
    with query_runner(loaded, "discard") as run:
        match = run(lambda c: _jsonpath(c, request))
        if same := run(lambda c: rules.find_same_rule(c, match)):
            _say_same(same, match, as_json=as_json)
            return
        preview = run(lambda c: _preview(c, match, start, as_json=as_json))
        if not as_json:
            names = run(lambda c: names_in(c, match))
            click.echo("\n".join(_preview_lines(with_names(match, names), preview)))
        if not yes:
            _confirm(f"\n{_ON}\nAdd this rule?", "add", as_json=as_json)
        added = run(lambda c: rules.add_rule(c, match, note))
    if added.same:
        _say_same(added.same, match, as_json=as_json)
    elif as_json:
        shown = {"id": added.id, "is_new": True, "match": match, "note": note}
        echo_json(shown | {"preview": preview})
    else:
        click.echo(f"Rule {added.id} is on.\n{_ON}" if yes else f"Rule {added.id} is on.")


def _say_same(same: SameRule, match: str, *, as_json: bool) -> None:
    """Say that no rule was added, because of the same one."""
    if as_json:
        echo_json({"id": same.id, "is_new": False, "is_on": same.is_on, "match": match})
    else:
        click.echo(rules.same_rule_words(same))


async def _preview(
    connection: Connection, match: str, since: datetime, *, as_json: bool
) -> Preview:
    """What the rule, which was checked, would have discarded."""
    results = previews(connection, match, since=since, most=None, seconds=_PREVIEW_SECONDS)
    preview = await last(results, Preview(since))
    return preview if as_json else await readable_preview(connection, preview)


async def _jsonpath(connection: Connection, request: RuleRequest) -> str:
    """The rule's condition. Raises NameUnknown."""
    if request.match is not None:
        return request.match
    find: dict[str, Callable[[Connection, str], Awaitable[str]]] = {
        "channel": find_channel,
        "user": find_user,
    }
    value = request.value
    if value is not None and request.ready in find:
        value = await find[request.ready](connection, value)
    return next(rule for rule in READY_RULES if rule.name == request.ready).match(value)


async def _rules_with_names(connection: Connection) -> tuple[list[Rule], dict[str, str]]:
    """The rules, and the names of the channels and users in them, by id."""
    found = await list_rules(connection)
    return found, await names_in(connection, *(rule.match for rule in found))


def _rule_lines(rule: Rule, names: Mapping[str, str]) -> Iterator[str]:
    state = "on" if rule.is_on else "off"
    when = f", last {format_time(rule.last_hit)}" if rule.last_hit else ""
    yield f"{rule.id:>4}  {state:<3}  {visible(with_names(rule.readable, names))}"
    yield f"           matched {rule.hits:,} ({rule.hits_of_a_day:,} in 24 h){when}"
    imported = f", {rule.imported:,} from imports" if rule.imported else ""
    made = (
        f"added {format_time(rule.created_at)}" if rule.created_at else "added before version 0.4.0"
    )
    yield f"           {made}{imported}"
    if rule.failures:
        when = format_time(rule.failed_at) if rule.failed_at else ""
        yield f"           failed on {amount(rule.failures, 'message')}, stored nevertheless; last {when}:"
        yield f"           {rule.failure}"
    if rule.off_at:
        yield f"           off since {format_time(rule.off_at)}"
    if rule.note:
        yield f"           {visible(rule.note)}"


def _preview_lines(match: str, preview: Preview) -> Iterator[str]:
    yield visible(match)
    yield f"since {format_time(preview.since)}, would have discarded:"
    yield from (line.text for line in preview_lines(preview))
    if preview.is_out_of_time:
        yield "A shorter --since can test all messages."

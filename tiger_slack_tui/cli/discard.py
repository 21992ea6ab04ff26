"""`tiger-slack discard`: the rules that keep messages away."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from tiger_slack_tui.audit import rules
from tiger_slack_tui.audit.names import find_channel, find_user
from tiger_slack_tui.audit.preview import Preview, Tested, previews
from tiger_slack_tui.audit.rules import READY_RULES, Rule
from tiger_slack_tui.base.settings import Settings
from tiger_slack_tui.base.text import cut, visible
from tiger_slack_tui.base.times import read_time
from tiger_slack_tui.cli.questions import (
    ask,
    asking,
    echo_json,
    last,
    shown_channel,
    shown_time,
)
from tiger_slack_tui.postgres.connection import Connection

_SECONDS = 30.0
"""How long a preview tests messages."""
_ON = "It holds for what comes from now on, in every instance.\nNothing that is stored is deleted."
_OFF = "What it kept away comes back with: tiger-slack replay --discarded-by {}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rule that the command line describes: an expression, or a ready rule and what it is made for."""

    match: str | None
    ready: str | None = None
    value: str | None = None


def show(settings: Settings, *, as_json: bool) -> None:
    """Print the rules and what each did."""
    found = ask(settings, "discard", rules.list_rules)
    if as_json:
        for rule in found:
            echo_json(rule)
    elif found:
        click.echo("\n".join(line for rule in found for line in _rule_lines(rule)))
    else:
        click.echo("No rules: every message is stored. Make one: tiger-slack discard add --help")


def test(settings: Settings, wanted: Wanted, since: str, *, as_json: bool) -> None:
    """Print what the rule would have kept away."""
    start = read_time(since, datetime.now(UTC), "--since")
    match, preview = ask(settings, "discard", lambda c: _checked_preview(c, wanted, start))
    if as_json:
        echo_json(preview)
    else:
        click.echo("\n".join(_preview_lines(match, preview)))


def add(
    settings: Settings, wanted: Wanted, note: str | None, since: str, *, yes: bool, as_json: bool
) -> None:
    """Make the rule, after its preview and a question."""
    start = read_time(since, datetime.now(UTC), "--since")
    with asking(settings, "discard") as run:
        match, preview = run(lambda c: _checked_preview(c, wanted, start))
        if not as_json:
            click.echo("\n".join(_preview_lines(match, preview)))
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise click.UsageError("Nobody is there to ask: add --yes to make the rule.")
            click.confirm(f"\n{_ON}\nMake this rule?", abort=True)
        rule_id = run(lambda c: rules.add_rule(c, match, note))
    if as_json:
        echo_json({"id": rule_id, "match": match, "note": note, "preview": preview})
    else:
        click.echo(f"Rule {rule_id} is on.\n{_ON}" if yes else f"Rule {rule_id} is on.")


def turn_off(settings: Settings, rule_id: int) -> None:
    """Let the rule rest."""
    ask(settings, "discard", lambda c: rules.turn_rule_off(c, rule_id))
    click.echo(f"Rule {rule_id} is off.\n{_OFF.format(rule_id)}")


def turn_on(settings: Settings, rule_id: int) -> None:
    """Let the rule hold again."""
    ask(settings, "discard", lambda c: rules.turn_rule_on(c, rule_id))
    click.echo(f"Rule {rule_id} is on.\n{_ON}")


def remove(settings: Settings, rule_id: int) -> None:
    """End the rule."""
    ask(settings, "discard", lambda c: rules.remove_rule(c, rule_id))
    click.echo(f"Rule {rule_id} is removed.\n{_OFF.format(rule_id)}")


async def _checked_preview(
    connection: Connection, wanted: Wanted, since: datetime
) -> tuple[str, Preview]:
    match = await _expression(connection, wanted)
    await rules.check_rule(connection, match)
    growing = previews(connection, match, since=since, most=None, seconds=_SECONDS)
    return match, await last(growing, Preview(since))


async def _expression(connection: Connection, wanted: Wanted) -> str:
    if wanted.match is not None:
        return wanted.match
    find: dict[str, Callable[[Connection, str], Awaitable[str]]] = {
        "channel": find_channel,
        "user": find_user,
    }
    value = wanted.value
    if value is not None and wanted.ready in find:
        value = await find[wanted.ready](connection, value)
    return next(rule for rule in READY_RULES if rule.name == wanted.ready).match(value)


def _rule_lines(rule: Rule) -> Iterator[str]:
    state = "on" if rule.is_on else "off"
    when = f", last {shown_time(rule.last_hit)}" if rule.last_hit else ""
    yield f"{rule.id:>4}  {state:<3}  {visible(rule.readable)}"
    yield f"           matched {rule.hits:,} ({rule.hits_of_a_day:,} in 24 h){when}"
    imported = f", {rule.imported:,} from exports" if rule.imported else ""
    made = f"made {shown_time(rule.created_at)}" if rule.created_at else "made before version 0.4.0"
    yield f"           {made}{imported}"
    if rule.failures:
        when = shown_time(rule.failed_at) if rule.failed_at else ""
        yield f"           failed on {rule.failures:,} messages, which were stored; last {when}:"
        yield f"           {rule.failure}"
    if rule.off_at:
        yield f"           off since {shown_time(rule.off_at)}"
    if rule.note:
        yield f"           {visible(rule.note)}"


def _preview_lines(match: str, preview: Preview) -> Iterator[str]:
    yield f"{visible(match)} would have kept away, since {shown_time(preview.since)}:"
    yield f"  of stored messages {_tested(preview.stored)}"
    yield f"  of recent events   {_tested(preview.recent)}"
    if preview.recent.known:
        yield f"{'':21}({preview.recent.known:,} of these a rule discards already)"
    if preview.failed and preview.sqlstate:
        yield f"  It fails on {preview.failed:,} of these, and does not match them:"
        yield f"  {rules.failure_words(preview.sqlstate)}"
    if preview.is_out_of_time:
        yield f"  Stopped after {preview.seconds:.0f} s: a shorter --since tests all."
    examples = sorted(
        {*preview.stored.examples, *preview.recent.examples}, key=lambda e: e.at, reverse=True
    )
    for example in examples[:5]:
        who = example.user_id or example.bot_id or "-"
        where = shown_channel(example.channel_id, example.channel_name, 16)
        head = f"  {shown_time(example.at)}  {where}  {cut(who, 12)}  "
        yield head + cut(example.text or f"({example.subtype or 'no text'})", 79 - len(head))


def _tested(tested: Tested) -> str:
    if not tested.tested:
        return "none: there are none"
    share = f"{tested.matched:,} of {tested.tested:,} ({tested.share:.1%})"
    return share if tested.is_whole else f"{share}, back to {shown_time(tested.oldest)}"

"""Checks, adds, turns on and off, and removes the rules that discard messages."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tiger_slack_tui.base.errors import NotFound, TigerSlackError
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.jsonpath import readable
from tiger_slack_tui.store import rules
from tiger_slack_tui.store.rules import Rule, SameRule


class RuleRefused(TigerSlackError):
    """The expression cannot be a rule: it is not a jsonpath, or not a condition that can be true."""

    exit_code = 2


class NoSuchRule(NotFound):
    """No rule has this number."""


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """A rule to choose from a list. `needs` names the value that it is made for; None if it needs none."""

    name: str
    title: str
    template: str
    needs: str | None = None

    def match(self, value: str | None = None) -> str:
        """The predicate, for this value if it needs one."""
        return self.template.format(json.dumps(value))


READY_RULES = (
    ReadyRule(
        "joins",
        "joins and leaves",
        '$.subtype like_regex "^(channel|group)_(join|leave)$"',
    ),
    ReadyRule("bots", "bot messages", '$.subtype == "bot_message" || $.bot_id != null'),
    ReadyRule("channel", "one channel", "$.channel == {}", "channel id"),
    ReadyRule("user", "one user", "$.user == {}", "user id"),
    ReadyRule("app", "one app", "$.app_id == {}", "app id"),
)


@dataclass(frozen=True, slots=True)
class AddedRule:
    """What `add_rule` did."""

    id: int
    same: SameRule | None = None
    """The rule with the same condition, because of which none was added; then `id` is its number."""


async def check_rule(connection: Connection, match: str) -> str:
    """The predicate in PostgreSQL's text. Raises RuleRefused if it is not a predicate, or is a constant."""
    try:
        canonical, answer = await rules.check_match(connection, match)
    except rules.BadMatch as error:
        raise _refusal(match, error.reason) from None
    # A predicate yields exactly one truth value. For a message without fields it can be unknown (null).
    if answer not in ("[true]", "[false]", "[null]"):
        raise RuleRefused(
            f"{match} is a path, not a condition. As a rule it would never match, without any error.",
            hint=f"Write a condition: {_condition_for(canonical)}",
        )
    if canonical in ("true", "false", "null"):
        raise RuleRefused(f"{match} is not a condition: it is the same for every message.")
    return canonical


async def find_same_rule(connection: Connection, match: str) -> SameRule | None:
    """The rule with the same condition, on or off; None if there is none. Raises RuleRefused."""
    await check_rule(connection, match)
    return await rules.find_same(connection, match)


def same_rule_words(same: SameRule) -> str:
    """Why a rule was not added, and what can be done instead."""
    if same.is_on:
        return f"Rule {same.id} is the same, and it is on. Nothing was added."
    return f"Rule {same.id} is the same, but it is off. To turn it on: tiger-slack discard on {same.id}"


async def add_rule(connection: Connection, match: str, note: str | None) -> AddedRule:
    """Add the rule, unless there is one with the same condition, on or off. Raises RuleRefused.

    Each instance applies it from its next batch on.
    """
    if same := await find_same_rule(connection, match):
        return AddedRule(same.id, same)
    return AddedRule(await rules.insert_rule(connection, match, note))


async def turn_rule_off(connection: Connection, rule_id: int) -> bool:
    """Stop the rule from discarding until it is turned on. False if it is off already. Raises NoSuchRule."""
    if await rules.turn_off(connection, rule_id):
        return True
    await require_rule(connection, rule_id)
    return False


async def turn_rule_on(connection: Connection, rule_id: int) -> bool:
    """Let the rule discard again, under its old number. False if it is on already. Raises NoSuchRule."""
    if await rules.turn_on(connection, rule_id):
        return True
    await require_rule(connection, rule_id)
    return False


async def remove_rule(connection: Connection, rule_id: int) -> None:
    """End the rule for good. Messages that it discarded come back only by a replay. Raises NoSuchRule."""
    if not await rules.remove(connection, rule_id):
        raise _no_rule(rule_id)


async def require_rule(connection: Connection, rule_id: int, *, removed: bool = False) -> Rule:
    """The rule, on or off; with `removed`, also one that was removed. Raises NoSuchRule."""
    found = await rules.find_rule(connection, rule_id)
    if found is None or (found.is_removed and not removed):
        raise _no_rule(rule_id)
    return found


def _no_rule(rule_id: int) -> NoSuchRule:
    return NoSuchRule(
        f"There is no rule {rule_id}.", hint="To list the rules: tiger-slack discard list"
    )


def _refusal(match: str, reason: str) -> RuleRefused:
    """The error for a text that PostgreSQL refuses, with a hint for the reason."""
    hint = 'Write a condition over the message, such as $.subtype == "channel_join".'
    if "jsonpath variable" in reason:
        hint = "A name that begins with $ is a variable, and rules have none. Begin a field with $. (with a dot)."
    elif 'near "="' in reason:
        hint = "In jsonpath, “equal” is ==, “and” is &&, “or” is ||."
    return RuleRefused(f"{match or 'An empty text'} is not a rule: {reason}.", hint=hint)


def _condition_for(canonical: str) -> str:
    """A condition that means what the path probably was meant to say."""
    head, filtered, rest = canonical.partition("$?(")
    if filtered and not head and rest.endswith(")") and "?(" not in rest:
        return readable(rest[:-1].replace("@", "$"))
    path = readable(canonical)
    return f"exists({path}), or a comparison such as {path} == …"

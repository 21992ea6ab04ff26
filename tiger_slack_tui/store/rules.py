"""slack.message_discard: the rules that discard messages, and how often each rule matched or failed.

Rules are evaluated by slack.matches() in `migrations/idempotent/009-rules.sql`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.jsonpath import readable
from tiger_slack_tui.postgres.queries import fetch_rows, fetch_value, to_json

_CHECK: LiteralString = """
select %(match)s::jsonpath::text, jsonb_path_query_array('{}', %(match)s::jsonpath, silent => true)::text
"""
_EVALUATE: LiteralString = """
select (select m.is_match[1] from slack.matches(array[%(message)s::jsonb], c.condition::jsonpath) m)
, jsonb_path_query_array(%(message)s::jsonb, c.path::jsonpath, silent => true)::text
from unnest(%(conditions)s::text[], %(paths)s::text[]) with ordinality c (condition, path, number)
order by c.number
"""
_RULES: LiteralString = """
with rule as
( select d.id, d.match, d.note, d.created_at, null::timestamptz as off_at, false as is_removed
  from slack.message_discard d
  union all
  select o.id, o.match, o.note, o.created_at, o.off_at, o.is_removed
  from slack.message_discard_off o
)
, imported as -- only imports that have ended: to sum up a running one takes longer the more files it has
( select n.key, sum(n.value::int8)::int8 as messages
  from slack.import i
  cross join lateral jsonb_each
  ( case jsonb_typeof(i.account -> 'messages' -> 'discarded')
      when 'object' then i.account -> 'messages' -> 'discarded'
    end
  ) n (key, value)
  where jsonb_typeof(n.value) = 'number'
  group by n.key
)
select r.id, r.match::text, r.note, r.created_at, r.off_at, r.is_removed
, (select count(*) from slack.event e where e.discard_id = r.id) as hits
, ( select count(*) from slack.event e where e.discard_id = r.id and e.event_ts > now() - interval '1 day'
  ) as hits_of_a_day
, (select max(e.event_ts) from slack.event e where e.discard_id = r.id) as last_hit
, coalesce((select i.messages from imported i where i.key = r.id::text), 0)::int8 as imported
, coalesce(f.failures, 0) as failures, f.last_at as failed_at, f.sqlstate
from rule r
left join
( select m.rule_id
  , sum(m.failures)::int8 as failures
  , max(m.last_at) as last_at
  , (array_agg(m.sqlstate order by m.last_at desc, m.id desc))[1] as sqlstate
  from slack.message_discard_failure m
  group by m.rule_id
) f on f.rule_id = r.id
where case when %(id)s::int4 is null then not r.is_removed else r.id = %(id)s end
order by r.id
"""
_ADD: LiteralString = "insert into slack.message_discard (match, note) values (%s, %s) returning id"
_SAME: LiteralString = """
select d.id, true as is_on from slack.message_discard d where d.match::text = %(match)s::jsonpath::text
union all
select o.id, false from slack.message_discard_off o
where o.match::text = %(match)s::jsonpath::text
and not o.is_removed
order by is_on desc, id
limit 1
"""
_TURN_OFF: LiteralString = """
with d as (delete from slack.message_discard where id = %s returning id, match, note, created_at)
insert into slack.message_discard_off (id, match, note, created_at, is_removed)
select d.id, d.match, d.note, d.created_at, false from d
"""
_TURN_ON: LiteralString = """
with o as
( delete from slack.message_discard_off
  where id = %s and not is_removed
  returning id, match, note, created_at
)
insert into slack.message_discard (id, match, note, created_at)
select o.id, o.match, o.note, o.created_at from o
"""
_REMOVE: LiteralString = """
with d as (delete from slack.message_discard where id = %(id)s returning id, match, note, created_at)
, o as
( update slack.message_discard_off set is_removed = true, off_at = now()
  where id = %(id)s and not is_removed
  returning id
)
, moved as
( insert into slack.message_discard_off (id, match, note, created_at, is_removed)
  select d.id, d.match, d.note, d.created_at, true from d
  returning id
)
select id from o union all select id from moved
"""

_HAS_RULES = "select exists (select from slack.message_discard)"
_EVALUATE_RULES = """
select e.discarded, e.failures
from slack.evaluate_rules(array(select m from jsonb_array_elements(%s::jsonb) m)) e
"""
_COUNT_RULE_FAILURES = "select slack.count_rule_failures(%s::jsonb)"

_FAILURES = {
    "0A000": "it compares a time that has a time zone with one that has none",
    "54001": "the message is nested too deeply for it",
    "2201B": "its regular expression fails on the text",
    "22012": "it divides by zero",
    "22003": "a number in the message is out of range",
    "22007": "a text in the message is not a time",
    "22008": "a time in the message is out of range",
}
"""By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and what it did."""

    id: int
    match: str
    """The predicate in PostgreSQL's text; `readable` is shorter."""
    note: str | None
    created_at: datetime | None
    """None for a rule from a version that did not store it."""
    off_at: datetime | None
    """When it was turned off or removed; None while it discards messages."""
    is_removed: bool
    """A removed rule is kept to explain what it discarded."""
    hits: int
    """Events in slack.event that it discards. Old events are deleted from there; a replayed one no longer counts."""
    hits_of_a_day: int
    """Those of the last 24 h."""
    last_hit: datetime | None
    imported: int
    """Messages that it discarded in imports that have ended. A repeated import counts again."""
    failures: int
    """Messages on which PostgreSQL could not evaluate it. They were stored, unless another rule matched."""
    failed_at: datetime | None
    """When it last failed."""
    sqlstate: str | None
    """Why it last failed."""

    @property
    def is_on(self) -> bool:
        return self.off_at is None

    @property
    def readable(self) -> str:
        """The predicate as people write it."""
        return readable(self.match)

    @property
    def failure(self) -> str | None:
        """Why it last failed, in words; None if it never failed."""
        return None if self.sqlstate is None else failure_words(self.sqlstate)


class CheckedMatch(NamedTuple):
    """What PostgreSQL makes of a rule's text."""

    canonical: str
    """The text as PostgreSQL writes it."""
    answer: str
    """What it yields for a message without fields, as a JSON array. A predicate yields one truth value."""


class SameRule(NamedTuple):
    """A rule with the same condition."""

    id: int
    is_on: bool


class BadMatch(Exception):
    """PostgreSQL cannot read a text as a jsonpath. `reason` quotes nothing but that text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConditionAnswer(NamedTuple):
    """Whether a message meets a condition, and the values at a path, as a JSON array."""

    is_match: bool
    values: str


@dataclass(frozen=True, slots=True)
class RuleResults:
    """What the discard rules say of messages."""

    rules: Sequence[int | None]
    """For each message the id of the rule that discards it, None if none does."""
    failures: Any
    """The failures of rules, for `count_rule_failures`; None if there are none."""


def failure_words(sqlstate: str) -> str:
    """Why PostgreSQL cannot evaluate a rule on a message, in words."""
    words = _FAILURES.get(sqlstate, "a value in the message does not fit the rule")
    return f"{words} (SQLSTATE {sqlstate})"


async def list_rules(connection: Connection) -> list[Rule]:
    """The rules that are on or off, without the removed ones."""
    return await _fetch(connection, None)


async def find_rule(connection: Connection, rule_id: int) -> Rule | None:
    """The rule, even if it is removed; None if no rule ever had this number."""
    return next(iter(await _fetch(connection, rule_id)), None)


async def count_rules(connection: Connection) -> int:
    """The number of rules that are on."""
    return int(await fetch_value(connection, "select count(*) from slack.message_discard"))


async def check_match(connection: Connection, match: str) -> CheckedMatch:
    """Let PostgreSQL read the text as a jsonpath. Raises BadMatch if it is none."""
    try:
        row = await (await connection.execute(_CHECK, {"match": match})).fetchone()
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        raise BadMatch(error.diag.message_primary or type(error).__name__) from None
    return CheckedMatch(*row) if row else CheckedMatch("", "[]")


async def evaluate_conditions(
    connection: Connection, message: str, *, conditions: Sequence[str], paths: Sequence[str]
) -> list[ConditionAnswer]:
    """For each condition: whether the message (JSON) meets it, and the values at the path of the same position.

    A condition that PostgreSQL cannot evaluate on the message counts as not met.
    """
    values = {"message": message, "conditions": list(conditions), "paths": list(paths)}
    cursor = await connection.execute(_EVALUATE, values)
    return [ConditionAnswer(bool(is_match), found) for is_match, found in await cursor.fetchall()]


async def insert_rule(connection: Connection, match: str, note: str | None) -> int:
    """Store the rule and return its number."""
    return int(await fetch_value(connection, _ADD, (match, note)))


async def find_same(connection: Connection, match: str) -> SameRule | None:
    """The rule with this condition, one that is on before one that is off. `match` must be a jsonpath."""
    row = await (await connection.execute(_SAME, {"match": match})).fetchone()
    return SameRule(*row) if row else None


async def turn_off(connection: Connection, rule_id: int) -> bool:
    """Move the rule to those that are off; False if no rule of this number is on."""
    return (await connection.execute(_TURN_OFF, (rule_id,))).rowcount > 0


async def turn_on(connection: Connection, rule_id: int) -> bool:
    """Move the rule back to those that are on; False if no rule of this number is off."""
    return (await connection.execute(_TURN_ON, (rule_id,))).rowcount > 0


async def remove(connection: Connection, rule_id: int) -> bool:
    """Mark the rule as removed; False if no rule of this number is on or off."""
    return (await connection.execute(_REMOVE, {"id": rule_id})).rowcount > 0


async def has_rules(connection: Connection) -> bool:
    """Whether there are discard rules."""
    return bool(await fetch_value(connection, _HAS_RULES))


async def evaluate_rules(
    connection: Connection, messages: Sequence[Mapping[str, Any]]
) -> RuleResults:
    """Evaluate the discard rules for the messages, which look like the events of Slack."""
    cursor = await connection.execute(_EVALUATE_RULES, (to_json(messages),))
    rules, failures = await cursor.fetchone() or ((), None)
    return RuleResults(rules, failures)


async def count_rule_failures(connection: Connection, failures: Any) -> None:
    """Add failures of rules, as `evaluate_rules` returns them, to their counts."""
    await connection.execute(_COUNT_RULE_FAILURES, (Jsonb(failures),))


async def _fetch(connection: Connection, rule_id: int | None) -> list[Rule]:
    return await fetch_rows(connection, Rule, _RULES, {"id": rule_id})

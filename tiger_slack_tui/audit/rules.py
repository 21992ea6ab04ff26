"""The rules that keep messages away: checked, made, turned off and on, removed, and how often they matched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

from tiger_slack_tui.audit.conditions import readable
from tiger_slack_tui.base.errors import TigerSlackError
from tiger_slack_tui.postgres.connection import Connection

_CHECK: LiteralString = """
select %(match)s::jsonpath::text, jsonb_path_query_array('{}', %(match)s::jsonpath, silent => true)::text
"""
_RULES: LiteralString = """
with rule as
( select d.id, d.match, d.note, d.created_at, null::timestamptz as off_at, false as is_removed
  from slack.message_discard d
  union all
  select o.id, o.match, o.note, o.created_at, o.off_at, o.is_removed
  from slack.message_discard_off o
)
, imported as -- of imports that have ended: to sum up one that runs takes as long as it has files
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


class RuleRefused(TigerSlackError):
    """The expression cannot be a rule: it is no jsonpath, or no condition that could be true."""

    exit_code = 2


class NoSuchRule(TigerSlackError):
    """There is no rule of this number."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and what it did."""

    id: int
    match: str
    """The predicate, as PostgreSQL writes it; `readable` shortens it."""
    note: str | None
    created_at: datetime | None
    """None for rules that are older than this was noted."""
    off_at: datetime | None
    """Since when it discards nothing; None while it does."""
    is_removed: bool
    """A removed rule is kept to explain what it discarded."""
    hits: int
    """Events of the audit trail that it keeps away, as far back as slack.event is kept; not those since replayed."""
    hits_of_a_day: int
    """Of these, the ones that happened in the last 24 h."""
    last_hit: datetime | None
    imported: int
    """Messages that it discarded in imports that have ended; an export that is imported again counts again."""
    failures: int
    """Messages on which PostgreSQL could not evaluate it: they were stored, unless another rule matched."""
    failed_at: datetime | None
    """When that happened last, ..."""
    sqlstate: str | None
    """... and why."""

    @property
    def is_on(self) -> bool:
        return self.off_at is None

    @property
    def readable(self) -> str:
        return readable(self.match)

    @property
    def failure(self) -> str | None:
        """Why it fails on some messages, in words."""
        return None if self.sqlstate is None else failure_words(self.sqlstate)


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """A rule to pick. `needs` names what it is made for; None where it needs nothing."""

    name: str
    title: str
    template: str
    needs: str | None = None

    def match(self, value: str | None = None) -> str:
        """The predicate, for this id where it needs one."""
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


_FAILURES = {
    "0A000": "it compares a time that has a time zone with one that has none",
    "54001": "the message is nested too deeply for it",
    "2201B": "its regular expression fails on the text",
    "22012": "it divides by zero",
    "22003": "a number of the message is out of range",
    "22007": "a text of the message is no time",
    "22008": "a time of the message is out of range",
}
"""By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


def failure_words(sqlstate: str) -> str:
    """Why PostgreSQL cannot evaluate a rule on a message, in words."""
    words = _FAILURES.get(sqlstate, "a value of the message is not as the rule needs it")
    return f"{words} (SQLSTATE {sqlstate})"


async def list_rules(connection: Connection) -> list[Rule]:
    """All rules that are on or off, without the removed ones."""
    return await _read(connection, None)


async def find_rule(connection: Connection, rule_id: int) -> Rule | None:
    """The rule, also where it is removed; None where its number was never kept."""
    return next(iter(await _read(connection, rule_id)), None)


async def check_rule(connection: Connection, match: str) -> str:
    """The expression as PostgreSQL writes it. Raises RuleRefused where it is none, or could never be true."""
    try:
        row = await (await connection.execute(_CHECK, {"match": match})).fetchone()
    except (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        raise _refusal(match, error) from None
    canonical, answer = row or ("", "[]")
    # A predicate always answers with one truth value, which for a message without fields can be unknown (null).
    if answer not in ("[true]", "[false]", "[null]"):
        raise RuleRefused(
            f"{match} is a path, not a condition: as a rule it never matches, and no error tells so.",
            hint=f"Write a condition: {_condition_for(canonical)}",
        )
    if canonical in ("true", "false", "null"):
        raise RuleRefused(f"{match} is no condition: it is the same for every message.")
    return str(canonical)


async def add_rule(connection: Connection, match: str, note: str | None) -> int:
    """Make the rule; each instance follows it with its next batch. Returns its number. Raises RuleRefused."""
    await check_rule(connection, match)
    row = await (await connection.execute(_ADD, (match, note))).fetchone()
    return int(row[0]) if row else 0


async def turn_rule_off(connection: Connection, rule_id: int) -> None:
    """Let the rule discard nothing until it is turned on. Raises NoSuchRule where none of the number is on."""
    await _change(connection, _TURN_OFF, rule_id, "is on")


async def turn_rule_on(connection: Connection, rule_id: int) -> None:
    """Let the rule discard again, under its old number. Raises NoSuchRule where none of the number is off."""
    await _change(connection, _TURN_ON, rule_id, "is off")


async def remove_rule(connection: Connection, rule_id: int) -> None:
    """End the rule for good. Nothing that it discarded comes back before a replay. Raises NoSuchRule."""
    if (await connection.execute(_REMOVE, {"id": rule_id})).rowcount == 0:
        raise _no_rule(rule_id, "is there")


async def _read(connection: Connection, rule_id: int | None) -> list[Rule]:
    async with connection.cursor(row_factory=class_row(Rule)) as cursor:
        await cursor.execute(_RULES, {"id": rule_id})
        return await cursor.fetchall()


async def _change(connection: Connection, query: LiteralString, rule_id: int, wanted: str) -> None:
    if (await connection.execute(query, (rule_id,))).rowcount == 0:
        raise _no_rule(rule_id, wanted)


def _no_rule(rule_id: int, wanted: str) -> NoSuchRule:
    return NoSuchRule(f"No rule {rule_id} {wanted}.", hint="See: tiger-slack discard list")


def _refusal(match: str, error: psycopg.Error) -> RuleRefused:
    """Why the database does not take it, in its words; they quote nothing but the expression."""
    said = error.diag.message_primary or type(error).__name__
    hint = 'Write a condition over the message, such as $.subtype == "channel_join".'
    if "jsonpath variable" in said:
        hint = "A name that begins with $ is a variable, and rules have none: begin fields with $. (a dot behind it)."
    elif 'near "="' in said:
        hint = "In jsonpath, “equal” is ==, “and” is &&, “or” is ||."
    return RuleRefused(f"{match or 'Nothing'} is no rule: {said}.", hint=hint)


def _condition_for(canonical: str) -> str:
    """A condition that says what the path seems to mean."""
    head, filtered, rest = canonical.partition("$?(")
    if filtered and not head and rest.endswith(")") and "?(" not in rest:
        return readable(rest[:-1].replace("@", "$"))
    path = readable(canonical)
    return f"exists({path}), or a comparison such as {path} == …"

"""Takes batches of an export's records into the tables, each in a transaction with its account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg.types.json import Jsonb

from tiger_slack_tui.base.backoff import backoff
from tiger_slack_tui.imports.merge import known_files as recall
from tiger_slack_tui.imports.merge.decisions import (
    DELETED,
    Changes,
    FileRecord,
    KnownMessages,
    MergeItem,
    MessageKey,
    Reactions,
    RecordProblem,
    about_messages,
    decide,
)
from tiger_slack_tui.imports.merge.known_files import FileCheckpoint
from tiger_slack_tui.imports.merge.rows import COLUMNS, MessageRow
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.copy_format import TRUE, copy_data, row_of, text_cell, time_cell
from tiger_slack_tui.postgres.failures import is_unavailable
from tiger_slack_tui.slack.ts import from_micros, slack_ts, to_micros
from tiger_slack_tui.store.import_account import Account, Reason

_TRIES = 5
"""How often a transaction is tried that others had to break off (deadlock, lock timeout)."""
_WEEK = 7 * 86_400 * 1_000_000
"""In microseconds."""

# What a crash of the server takes back, it takes back with its checkpoint; the end of the import is durable, and all
# that came before it.
_SESSION = """
select set_config('synchronous_commit', 'off', false)
, set_config('work_mem', '32MB', false)
, set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', false)
, set_config('plan_cache_mode', 'force_custom_plan', false)
"""
_HAS_RULES = "select exists (select from slack.message_discard)"
_EVALUATE_RULES = """
select e.discarded, e.failures
from slack.evaluate_rules(array(select m from jsonb_array_elements(%s::jsonb) m)) e
"""
_COUNT_RULE_FAILURES = "select slack.count_rule_failures(%s::jsonb)"
_NOW = "select slack.to_ts(now())"
_LOCK = "select slack.lock_for_import(%s::jsonb)"
_IS_NEW = """
select not exists
( select from slack.message m
  where m.channel_id = %(channel)s
  and m.ts between %(first)s and %(last)s
)
and not exists
( select from slack.tombstone t
  where t.channel_id = %(channel)s
  and t.ts between %(first)s and %(last)s
)
and not exists
( select from slack.reaction r
  where r.channel_id = %(channel)s
  and r.ts between %(first)s and %(last)s
)
"""
# Between first and last, so that TimescaleDB leaves out all other chunks.
_MESSAGES: LiteralString = """
select m.ts, m.event_ts, coalesce(m.event_id, ''), false
from slack.message m
where m.channel_id = %(channel)s
and m.ts between %(first)s and %(last)s
and m.ts = any (%(times)s::timestamptz[])
union all
select t.ts, null, null, true
from slack.tombstone t
where t.channel_id = %(channel)s
and t.ts = any (%(times)s::timestamptz[])
"""
_REACTIONS: LiteralString = """
select r.ts, r.user_id, r.reaction, r.event_ts, r.is_present
from slack.reaction r
where r.channel_id = %(channel)s
and r.ts = any (%(times)s::timestamptz[])
"""
_DELETE = """
delete from slack.message m
where m.channel_id = %(channel)s
and m.ts between %(first)s and %(last)s
and m.ts = any (%(times)s::timestamptz[])
"""
_COPY_MESSAGES = f"copy slack.message ({COLUMNS}) from stdin (format binary)"
_COPY_REACTIONS = """
copy slack.reaction (channel_id, ts, user_id, reaction, is_present, event_ts, event_id) from stdin (format binary)
"""
_APPLY = "select slack.apply_effects(slack.routed_events(%s::jsonb))"
_PROBLEMS = """
insert into slack.import_problem (import_id, path, position, reason)
select %s, p.path, p.position, p.reason
from jsonb_to_recordset(%s::jsonb) as p (path text, position int4, reason text)
"""
_FORGET = "delete from slack.import_problem p where p.import_id = %s and p.path = %s"
_FILES = """
with f as materialized
( select *
  from jsonb_to_recordset(%(files)s::jsonb) as f
  ( path text, size int8, crc int8, channel_id text, position int4, is_done bool, account jsonb, error text
  , stored int4
  )
)
, updated as
( update slack.import_file t set
    size = f.size
  , crc = f.crc
  , channel_id = f.channel_id
  , position = f.position
  , is_done = f.is_done
  , account = f.account
  , error = f.error
  , updated_at = now()
  from f
  where t.import_id = %(import)s
  and t.path = f.path
  and t.position = f.stored
  returning 1
)
, inserted as
( insert into slack.import_file (import_id, path, size, crc, channel_id, position, is_done, account, error)
  select %(import)s, f.path, f.size, f.crc, f.channel_id, f.position, f.is_done, f.account, f.error
  from f
  where f.stored is null
  on conflict do nothing
  returning 1
)
select (select count(*) from updated) + (select count(*) from inserted)
"""


class LedgerChanged(Exception):
    """Somebody else has written to the file's row: a worker that was believed dead had still committed.

    What this one wanted to commit is rolled back; whoever reads the row anew can go on.
    """


@dataclass(slots=True)
class Merged:
    """What became of a batch."""

    accounts: dict[int, Account]
    """By file."""
    problems: list[RecordProblem]

    def add(self, other: Merged) -> None:
        for number, account in other.accounts.items():
            self.accounts.setdefault(number, Account()).add(account)
        self.problems += other.problems


class Tables:
    """The tables, as an import uses them. The connection commits by itself."""

    def __init__(self, connection: Connection, import_id: int) -> None:
        self._connection = connection
        self._import = import_id
        self._look: list[LiteralString] = [_MESSAGES]
        self._look_reactions: list[LiteralString] = [_REACTIONS]

    async def prepare(self) -> None:
        """Set the session up."""
        await self._connection.execute(_SESSION)

    async def forget(self, path: str) -> None:
        """Drop what was wrong with a file whose content has changed since."""
        await self._connection.execute(_FORGET, (self._import, path))

    async def has_rules(self) -> bool:
        """Whether `merge` needs the records of messages now: any of them may be discarded by a rule."""
        return bool(await self._value(_HAS_RULES))

    async def merge(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], *, has_rules: bool
    ) -> Merged:
        """Commit what the items change, and their account; bring `files` up to date.

        The rules are followed if `has_rules`; then all rows have to keep their records.
        A record that PostgreSQL refuses is skipped as such and harms no other. Raises psycopg.Error where the
        database is away; then what the transaction at hand would have done is not done.
        """
        try:
            return await self._merge_patiently(items, files, has_rules)
        except psycopg.Error as error:
            if not _is_of_data(error) or self._connection.broken:
                raise
            if len(items) == 1:
                refused = items[0]
                if not isinstance(refused, FileRecord) or refused.what is Reason.REFUSED:
                    raise
                refused = FileRecord(refused.file, refused.position, Reason.REFUSED)
                return await self._merge_patiently([refused], files, has_rules)
        # Halving finds one bad record among 1,000 in 20 transactions; the good halves are written whole.
        middle = len(items) // 2
        merged = await self.merge(items[:middle], files, has_rules=has_rules)
        merged.add(await self.merge(items[middle:], files, has_rules=has_rules))
        return merged

    async def _merge_patiently(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], has_rules: bool
    ) -> Merged:
        for tries in range(1, _TRIES):
            try:
                return await self._merge(items, files, has_rules)
            except psycopg.Error as error:
                if not _may_pass(error) or self._connection.broken:
                    raise
            await asyncio.sleep(backoff(tries, first=0.1, most=1))
        return await self._merge(items, files, has_rules)

    async def _merge(
        self, items: Sequence[MergeItem], files: dict[int, FileCheckpoint], has_rules: bool
    ) -> Merged:
        discarded, rule_failures = await self._evaluate_rules(items) if has_rules else ({}, None)
        about = about_messages(items, discarded)
        async with self._connection.transaction():
            await self._lock(about)
            if rule_failures:
                await self._count_rule_failures(rule_failures)
            changes = decide(items, discarded, known := await self._known(about))
            await self._write(changes, known)
            states = {n: files[n].after(n, changes) for n in changes.accounts}
            await self._save(changes, states)
        for number, state in states.items():
            state.stored = state.position
            files[number] = state
        return Merged(changes.accounts, changes.problems)

    async def _evaluate_rules(self, items: Sequence[MergeItem]) -> tuple[dict[int, int], Any]:
        """The rule that discards the message, by the item's index; and the failures of rules, None without any."""
        messages = {
            number: item.what.message()
            for number, item in enumerate(items)
            if isinstance(item, FileRecord) and isinstance(item.what, MessageRow)
        }
        values = (_json(list(messages.values())),)
        row = await (await self._connection.execute(_EVALUATE_RULES, values)).fetchone()
        rules, failures = row or ((), None)
        found = zip(messages, rules, strict=True)
        return {number: rule for number, rule in found if rule is not None}, failures

    async def _count_rule_failures(self, failures: Any) -> None:
        await self._connection.execute(_COUNT_RULE_FAILURES, (Jsonb(failures),))

    async def lock(self, items: Sequence[MergeItem]) -> None:
        """Take all locks of the items, in the transaction at hand.

        Before several calls of `merge` in one transaction: each takes its own in order, but not those of all.
        """
        await self._lock(about_messages(items, {}))

    async def _lock(self, about: Mapping[str, Sequence[int]]) -> None:
        weeks = {channel: list({ts // _WEEK for ts in times}) for channel, times in about.items()}
        await self._connection.execute(_LOCK, (_json(weeks),))

    async def _known(self, about: Mapping[str, Sequence[int]]) -> KnownMessages:
        known = KnownMessages()
        for channel, times in about.items():
            if await self._is_new(channel, times):
                continue
            values = _values(channel, times)
            for query in self._look:
                cursor = await self._connection.execute(query, values)
                for ts, event_ts, event_id, is_deleted in await cursor.fetchall():
                    told = 0 if event_ts is None else to_micros(event_ts)
                    version = DELETED if is_deleted else (told, event_id)
                    known.add_version((channel, to_micros(ts)), version)
            for query in self._look_reactions:
                cursor = await self._connection.execute(query, values)
                for ts, user, name, since, is_present in await cursor.fetchall():
                    states = known.reactions.setdefault((channel, to_micros(ts)), {})
                    states[user, name] = (to_micros(since), is_present)
        return known

    async def _is_new(self, channel: str, times: Sequence[int]) -> bool:
        """Whether nothing is known of this channel and time."""
        return bool(await self._value(_IS_NEW, _ends(channel, times)))

    async def _value(self, query: LiteralString, values: Any = None) -> Any:
        row = await (await self._connection.execute(query, values)).fetchone()
        return row[0] if row else None

    async def _write(self, changes: Changes, known: KnownMessages) -> None:
        await self._make_room(changes.updates)
        rows = changes.inserts | changes.updates
        shown = known.reactions
        await self._copy(
            _COPY_MESSAGES,
            [row.row(_shown(shown[key]) if key in shown else None) for key, row in rows.items()],
        )
        await self._copy(_COPY_REACTIONS, list(_reaction_rows(changes)))
        # The rest changes in the way of live events.
        now = await self._value(_NOW) if changes.deletions else None
        if events := list(_as_events(changes, now)):
            await self._connection.execute(_APPLY, (_json(events),))

    async def _copy(self, statement: LiteralString, rows: Sequence[bytes]) -> None:
        if rows:
            async with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                await copy.write(copy_data(rows))

    async def _make_room(self, keys: Iterable[MessageKey]) -> None:
        """Delete the older contents."""
        times: dict[str, list[int]] = {}
        for channel, ts in keys:
            times.setdefault(channel, []).append(ts)
        for channel, found in times.items():
            await self._connection.execute(_DELETE, _values(channel, found))

    async def _save(self, changes: Changes, states: Mapping[int, FileCheckpoint]) -> None:
        if changes.problems:
            problems = [
                {"path": states[p.file].path, "position": p.position, "reason": p.reason}
                for p in changes.problems
            ]
            await self._connection.execute(_PROBLEMS, (self._import, _json(problems)))
        await self._save_states(list(states.values()))

    async def save(self, states: Sequence[FileCheckpoint]) -> None:
        """Keep how far the files are accounted for, in a transaction of its own. Raises LedgerChanged."""
        async with self._connection.transaction():
            await self._save_states(states)

    async def _save_states(self, states: Sequence[FileCheckpoint]) -> None:
        rows = [
            {
                "path": state.path,
                "size": state.size,
                "crc": state.crc,
                "channel_id": state.channel_id,
                "position": state.position,
                "is_done": state.is_done,
                "account": state.account,
                "error": state.error,
                "stored": state.stored,
            }
            for state in states
        ]
        saved = await self._value(_FILES, {"import": self._import, "files": _json(rows)})
        if saved != len(rows):
            raise LedgerChanged
        if whole := [state for state in states if state.is_whole]:
            await recall.keep(self._connection, whole)


def _is_of_data(error: psycopg.Error) -> bool:
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: data exception, integrity constraint, limits.
    # The driver refuses some data itself, without a code.
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate.startswith(("22", "23", "54")) and not _may_pass(error)


def _may_pass(error: psycopg.Error) -> bool:
    # Whoever writes messages without our locks may be quicker.
    return is_unavailable(error) or isinstance(error, psycopg.errors.UniqueViolation)


def _shown(states: Reactions) -> bytes | None:
    """As slack.reactions_of() shows them."""
    present = sorted((since, *who) for who, (since, here) in states.items() if here)
    shown = [{"user_id": user, "reaction": name} for _, user, name in present]
    return orjson.dumps(shown) if shown else None


def _reaction_rows(changes: Changes) -> Iterator[bytes]:
    """The reactions of messages that are written, for COPY."""
    for key, new in changes.reactions.items():
        if key in changes.inserts or key in changes.updates:
            begin, end = row_of(7) + key_cells(key), TRUE + time_cell(key[1]) + text_cell("0")
            for user, name in new:
                yield b"".join((begin, text_cell(user), text_cell(name), end))


def key_cells(key: MessageKey) -> bytes:
    return text_cell(key[0]) + time_cell(key[1])


def _ends(channel: str, times: Sequence[int]) -> dict[str, Any]:
    return {
        "channel": channel,
        "first": from_micros(min(times)),
        "last": from_micros(max(times)),
    }


def _values(channel: str, times: Sequence[int]) -> dict[str, Any]:
    # As text by far quicker than the driver's own way from a list of times.
    return _ends(channel, times) | {"times": f"{{{','.join(map(str, map(from_micros, times)))}}}"}


def _as_events(changes: Changes, now: str | None) -> Iterator[dict[str, Any]]:
    """The other changes, as events for slack.routed_events(). `now` is when its messages are found deleted."""
    for row in changes.channels:
        event = row.message() | {"event_ts": slack_ts(row.ts)}
        yield _event("channel", row.channel.id, row.micros) | {"event": event}
    for channel, ts in changes.deletions:
        yield _event("deletion", channel, ts) | {"event_ts": now}
    for (channel, ts), new in changes.reactions.items():
        if (channel, ts) not in changes.inserts and (channel, ts) not in changes.updates:
            for user, name in new:
                yield _event("reaction", channel, ts) | {
                    "type": "reaction_added",
                    "user_id": user,
                    "event": {"reaction": name},
                }


def _event(effect: str, channel: str, micros: int) -> dict[str, Any]:
    posted = slack_ts(from_micros(micros))
    return {
        "effects": [effect],
        "event_id": "0",
        "event_ts": posted,
        "type": "message",
        "channel_id": channel,
        "message_ts": posted,
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()

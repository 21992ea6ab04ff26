"""Counts what an import would do, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from tiger_slack_tui.imports.merge.decisions import Changes, KnownMessages
from tiger_slack_tui.imports.merge.known_files import FileCheckpoint
from tiger_slack_tui.imports.merge.writer import Tables, key_cells
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.copy_format import NULL, row_of, text_cell, time_cell

_HAS_TABLES = "select to_regclass('slack.import_problem') is not null"
_DRY_RUN = """
create temp table merged
( channel_id text not null
, ts timestamptz not null
, event_ts timestamptz
, event_id text
);
create index on merged (channel_id, ts);
create temp table merged_reaction
( channel_id text not null
, ts timestamptz not null
, user_id text not null
, reaction text not null
);
create index on merged_reaction (channel_id, ts);
"""
_MESSAGES_MERGED: LiteralString = """
select m.ts, m.event_ts, m.event_id, m.event_ts is null
from merged m
where m.channel_id = %(channel)s
and m.ts = any (%(times)s::timestamptz[])
"""
_REACTIONS_MERGED: LiteralString = """
select r.ts, r.user_id, r.reaction, r.ts, true
from merged_reaction r
where r.channel_id = %(channel)s
and r.ts = any (%(times)s::timestamptz[])
"""


class DryRun(Tables):
    """Counts what an import would do, and changes nothing; also where the tables are not there yet."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, 0)
        self._has_tables = False

    async def prepare(self) -> None:
        await super().prepare()
        self._has_tables = bool(await self._value(_HAS_TABLES))
        await self._connection.execute(_DRY_RUN)
        if not self._has_tables:
            self._look, self._look_reactions = [], []
        # What came before in the same archive.
        self._look.append(_MESSAGES_MERGED)
        self._look_reactions.append(_REACTIONS_MERGED)

    async def has_rules(self) -> bool:
        return self._has_tables and await super().has_rules()

    async def _count_rule_failures(self, failures: Any) -> None:
        pass

    async def _is_new(self, channel: str, times: Sequence[int]) -> bool:
        return False

    async def _lock(self, about: Mapping[str, Sequence[int]]) -> None:
        pass

    async def _write(self, changes: Changes, known: KnownMessages) -> None:
        merged = {key: row.version for key, row in (changes.inserts | changes.updates).items()}
        await self._copy(
            "copy merged from stdin (format binary)",
            [
                *(
                    row_of(4) + key_cells(key) + time_cell(told) + text_cell(event_id)
                    for key, (told, event_id) in merged.items()
                ),
                *(row_of(4) + key_cells(key) + NULL + NULL for key in changes.deletions),
            ],
        )
        await self._copy(
            "copy merged_reaction from stdin (format binary)",
            [
                row_of(4) + key_cells(key) + text_cell(user) + text_cell(name)
                for key, new in changes.reactions.items()
                for user, name in new
            ],
        )

    async def _save(self, changes: Changes, states: Mapping[int, FileCheckpoint]) -> None:
        pass

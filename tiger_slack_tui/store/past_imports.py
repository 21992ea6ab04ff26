"""Reads the newest imports from slack.import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import dict_row

from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.locks import holders
from tiger_slack_tui.store.import_account import Account
from tiger_slack_tui.store.imports import ImportOutcome, lock_key

_RECENT: LiteralString = """
select i.id, i.source, i.options, i.instance, i.started_at, i.resumed_at, i.finished_at, i.outcome, i.error
, i.account -> 'messages' as account
, i.account is not null as is_counted
, coalesce(jsonb_path_query_first(i.account, '$.files.planned ? (@.type() == "number")')::int8, 0) as files_planned
, coalesce(jsonb_path_query_first(i.account, '$.files.done ? (@.type() == "number")')::int8, 0) as files_done
, coalesce(jsonb_path_query_first(i.account, '$.files.failed ? (@.type() == "number")')::int8, 0) as files_failed
from slack.import i
order by i.id desc
limit %s
"""
_DONE_FILES: LiteralString = """
select f.import_id, count(*)
from slack.import_file f
where f.import_id = any (%s)
and f.is_done
group by f.import_id
"""


@dataclass(frozen=True, slots=True)
class PastImport:
    """A row of slack.import. The counts are of its last end; if it was killed, of what is committed.

    `files_now` is the number of ended files of a running import. `files_planned` is 0 after a kill, because only the
    end of an import stores it.
    """

    id: int
    source: str
    options: Mapping[str, Any]
    instance: str
    started_at: datetime
    resumed_at: datetime | None
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    account: Account
    files_planned: int
    files_done: int
    files_failed: int
    is_running: bool
    """Whether a session holds its lock."""
    files_now: int
    is_counted: bool = True
    """False while it runs, and after it was killed until `count_killed` has stored its account."""

    @property
    def needs_count(self) -> bool:
        """Whether it was killed, and what it committed is not counted yet."""
        return self.outcome is None and not self.is_running and not self.is_counted

    @property
    def can_continue(self) -> bool:
        """Whether the same command would continue it."""
        return not self.is_running and self.outcome in (
            None,
            ImportOutcome.FAILED,
            ImportOutcome.CANCELLED,
        )


async def recent_imports(connection: Connection, most: int) -> list[PastImport]:
    """The newest imports, newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_RECENT, (most,))
        rows = await cursor.fetchall()
    # The locks are read after the rows: an import that ends in between counts as ended, not as killed.
    running = await holders(connection, [lock_key(row["id"]) for row in rows])
    ids = [row["id"] for row in rows if lock_key(row["id"]) in running]
    done: dict[int, int] = {}
    if ids:
        done = dict(await (await connection.execute(_DONE_FILES, (ids,))).fetchall())
    return [
        PastImport(
            **row
            | {
                "account": Account.from_json(row["account"]),
                "options": _options(row),
                "is_running": row["id"] in ids,
                "files_now": done.get(row["id"], 0),
            }
        )
        for row in rows
    ]


def _options(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that this version understands. Another version may have written them."""
    text = (str, type(None))
    kinds: dict[str, Any] = {"since": text, "until": text, "channels": list, "channel_map": dict}
    given = row["options"] if isinstance(row["options"], dict) else {}
    return {
        name: value for name, value in given.items() if isinstance(value, kinds.get(name, object))
    }

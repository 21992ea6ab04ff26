"""slack.message_search: the documents that are searched, and the progress of the job that makes older ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString

from tiger_slack_tui.base.errors import DatabaseRefused
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.postgres.failures import translate_errors
from tiger_slack_tui.postgres.pool import connect
from tiger_slack_tui.postgres.queries import fetch_row, fetch_value
from tiger_slack_tui.store.lock_spans import has_chunks, lock_spans

_PROGRESS: LiteralString = """
select p.language, p.previous_languages, p.done, p.total, p.finished_at from slack.search_progress p
"""
_INDEX = "select slack.index_history(%s)"
_FIRST_SPAN = datetime(2000, 1, 1, tzinfo=UTC)
"""Hardly any message is older: Slack began in 2013. As in slack.index_history."""
_IS_COUNTED = "select p.total is not null from slack.search_progress p"
_COUNT = "select count(*) from slack.message m where m.ts >= %s and m.ts < %s"
_SET_TOTAL = "update slack.search_progress set total = %s where total is null"
# What a crash of the server undoes, it undoes together with the progress.
_SESSION = "select set_config('synchronous_commit', 'off', false)"
_SET_LANGUAGE = "select slack.set_search_language(%s)"
_HAS_LANGUAGE = "select slack.search_config(%s) is not null"
WRONG_DOCUMENTS: LiteralString = """
select coalesce(m.channel_id, s.channel_id), coalesce(m.ts, s.ts)
from slack.message m
full join slack.message_search s on s.channel_id = m.channel_id and s.ts = m.ts
where s.document is distinct from slack.search_document
( slack.document_config(), m.channel_id, m.user_id, m.bot_id, m.subtype, m.thread_ts, m.edited, m.text, m.blocks
, m.attachments, m.files
)
or s.thread_ts is distinct from case when m.thread_ts <> m.ts then m.thread_ts end
or m.ts is null
order by 2, 1
"""


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How much of the history can be searched, and in which language (a text search configuration)."""

    language: str
    previous_languages: Sequence[str]
    """Other languages of documents that are not made again yet."""
    done: int
    """Messages that the job has reached."""
    total: int | None
    """Messages that there were when the job began; None before."""
    finished_at: datetime | None
    """None while older messages have no document in the language."""

    @property
    def percent(self) -> int:
        """The part of the history that is indexed: 100 only when all of it is."""
        if self.finished_at is not None:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0

    @property
    def languages(self) -> list[str]:
        """The languages of the documents."""
        return [self.language, *self.previous_languages]


NO_PROGRESS: Final = ("english", (), 0, None, None)
"""The progress if slack.search_progress has lost its row."""


async def fetch_progress(connection: Connection) -> IndexProgress:
    """How much of the history can be searched."""
    row = await fetch_row(connection, IndexProgress, _PROGRESS)
    return row or IndexProgress(*NO_PROGRESS)


async def set_up_index_session(connection: Connection) -> None:
    """Set up the session for `index_history`."""
    await connection.execute(_SESSION)


async def index_history(connection: Connection, messages: int) -> int:
    """Make the documents of the next messages in one transaction. Returns how many it reached; 0 when all have one.

    Before the first of them it counts all messages. Live events of these messages' lock buckets wait meanwhile. One
    session at a time calls it.
    """
    if await fetch_value(connection, _IS_COUNTED) is False:
        await connection.execute(_SET_TOTAL, (await _count_messages(connection),))
    return int(await fetch_value(connection, _INDEX, (messages,)))


async def _count_messages(connection: Connection) -> int:
    """The number of stored messages. Each transaction counts one span, so that it locks few chunks."""
    if not await has_chunks(connection):
        return int(await fetch_value(connection, _COUNT, ("-infinity", "infinity")))
    latest = datetime.now(UTC) + timedelta(days=1)
    spans = [("-infinity", _FIRST_SPAN), *lock_spans(_FIRST_SPAN, latest), (latest, "infinity")]
    return sum([int(await fetch_value(connection, _COUNT, span, prepare=False)) for span in spans])


async def use_language(conninfo: str, language: str) -> bool:
    """Set the language of documents. Returns whether the job now makes the documents of all stored messages again.

    It does if the language or slack.document_version() is another than before, and if any message is stored.

    Waits until transactions that store messages have ended. Raises DatabaseUnavailable, and DatabaseRefused if the
    server has no such language.
    """
    async with await connect(conninfo) as connection:
        with translate_errors(conninfo):
            if not await fetch_value(connection, _HAS_LANGUAGE, (language,)):
                raise DatabaseRefused(
                    f"The server has no text search configuration {language}.",
                    hint="Set TIGER_SLACK_SEARCH_LANGUAGE to one that \\dF of psql lists, such as english.",
                )
            return bool(await fetch_value(connection, _SET_LANGUAGE, (language,)))


async def wrong_documents(connection: Connection) -> list[tuple[str, datetime]]:
    """The messages (channel id, ts) whose document is not what their row gives, or is missing or left over.

    Reads both tables whole: for small databases, such as the demo's and the tests'.
    """
    return await (await connection.execute(WRONG_DOCUMENTS)).fetchall()

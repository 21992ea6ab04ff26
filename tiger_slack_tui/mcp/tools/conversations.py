"""Tools that read conversations: of a channel, and with a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from tiger_slack_tui.base.ids import ChannelId, SlackTs, UserId
from tiger_slack_tui.mcp.answers import (
    AnswerModel,
    AnswerPage,
    QuotedMessage,
    fitting,
    noted,
    quoted,
    truncated,
)
from tiger_slack_tui.mcp.call import NOT_INDEXED, Call
from tiger_slack_tui.mcp.tools.parameters import Channel, Cursor, Since, Until, User
from tiger_slack_tui.search.search import Message
from tiger_slack_tui.store.conversations import fetch_first_replies, fetch_top_level, with_replies
from tiger_slack_tui.store.readable_messages import ReadableMessage, fetch_messages
from tiger_slack_tui.store.search import (
    Match,
    SearchHit,
    SearchPosition,
    lexeme,
    newest,
    term_queries,
)
from tiger_slack_tui.store.search_index import IndexProgress

_REPLIES = 5
"""Replies of a thread that a list of conversations shows."""
_MOST_TEXT = 2000
"""Most characters of a message in a list of conversations."""
Limit = Annotated[int, Field(ge=1, le=100, description="Most items of a page.")]


class Conversation(AnswerModel):
    """A message with the first replies to it, or with those that were asked for. The oldest is the first."""

    channel_id: str
    thread_ts: str | None = Field(default=None, description="Absent if nobody replied.")
    messages: list[QuotedMessage]
    has_more: bool = Field(
        description="Whether the thread has, or may have, more messages: get_thread_messages reads them."
    )


class Conversations(AnswerPage):
    """Conversations, the newest first."""

    conversations: list[Conversation]


async def get_conversations_in_channel(
    call: Call,
    channel: Channel,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Conversations:
    """Read a channel, the newest message first, each with the first replies to it."""
    channel_id = await call.channel(channel)
    begin, end = call.period(since, until)
    after = call.position(str)
    found = await fetch_top_level(
        call.connection,
        channel_id,
        since=begin,
        until=end,
        before=SlackTs(str(after[0])) if after else None,
        n=limit + 1,
    )
    page = found[:limit]
    replies: dict[SlackTs, list[ReadableMessage]] = {m.ts: [] for m in page}
    for reply in await fetch_first_replies(
        call.connection, channel_id, list(replies), n=_REPLIES + 1
    ):
        replies[_thread(reply)[1]].append(reply)
    shown = [m for first in page for m in (first, *replies[first.ts][:_REPLIES])]
    messages = {m.ts: m for m in await call.describe(shown)}
    items, all_fit = fitting(
        _conversation(
            first,
            [messages[first.ts], *(messages[m.ts] for m in replies[first.ts][:_REPLIES])],
            has_more=len(replies[first.ts]) > _REPLIES,
        )
        for first in page
    )
    last = page[len(items) - 1].ts if items and len(items) < len(found) else None
    return Conversations(
        notes=noted(truncated(all_fit=all_fit), await call.gap_note(begin, end, channel_id)),
        next_cursor=call.cursor(last) if last else None,
        conversations=items,
    )


async def get_conversations_with_user(
    call: Call,
    user: User,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Conversations:
    """Read what a person wrote, and what others wrote that mentions them, the newest first.

    For a reply, the message that began the thread is added.
    """
    user_id = await call.user(user)
    begin, end = call.period(since, until)
    progress, found = await _by_or_about(call, user_id, begin, end, limit + 1)
    page = found[:limit]
    rows = await fetch_messages(call.connection, [(each.channel_id, each.ts) for each in page])
    firsts = await fetch_messages(
        call.connection, sorted({(m.channel_id, m.thread_ts) for m in rows if m.thread_ts})
    )
    known = {(m.channel_id, m.ts): m for m in await call.describe([*rows, *firsts])}
    threads = _by_thread(rows)
    replied = await with_replies(call.connection, [_key(m) for m in rows if not m.thread_ts])
    items, all_fit = fitting(
        _conversation(
            messages[0],
            [known[each] for each in _with_first(messages, known)],
            has_more=_key(messages[0]) in replied or messages[0].thread_ts is not None,
        )
        for messages in threads
    )
    # A page ends before the first conversation that does not fit: its newest message is the first of the next page.
    last = _last(page, threads, len(items)) if len(found) > limit or not all_fit else None
    return Conversations(
        notes=noted(
            truncated(all_fit=all_fit),
            NOT_INDEXED if progress.finished_at is None else None,
            await call.gap_note(begin, end),
        ),
        next_cursor=call.cursor(last.ts, last.channel_id) if last else None,
        conversations=items,
    )


async def _by_or_about(
    call: Call, user_id: UserId, begin: datetime, end: datetime, limit: int
) -> tuple[IndexProgress, list[SearchHit]]:
    """What is indexed, and the newest messages that a person wrote, or that mention the person."""
    after = call.position(str, str)
    progress, (mention,) = await term_queries(call.connection, [(user_id, False)], call.visible)
    queries = [query for query in (lexeme(f"from:{user_id}"), mention) if query]
    match = Match(
        " | ".join(f"({query})" for query in queries),
        since=str(begin),
        until=str(end),
        visible=call.visible,
    )
    position = SearchPosition(SlackTs(str(after[0])), ChannelId(str(after[1]))) if after else None
    return progress, await newest(call.connection, match, after=position, limit=limit)


def _by_thread(messages: Iterable[ReadableMessage]) -> list[list[ReadableMessage]]:
    """The messages, the newest first, in runs of one thread each. A long run is cut, to fit into an answer."""
    runs: list[list[ReadableMessage]] = []
    for message in messages:
        is_same = bool(runs) and _thread(runs[-1][0]) == _thread(message)
        if is_same and len(runs[-1]) < _REPLIES:
            runs[-1].append(message)
        else:
            runs.append([message])
    return runs


def _key(message: ReadableMessage) -> tuple[ChannelId, SlackTs]:
    return message.channel_id, message.ts


def _thread(message: ReadableMessage) -> tuple[ChannelId, SlackTs]:
    # Slack sends the first message of a thread without thread_ts.
    return message.channel_id, message.thread_ts or message.ts


def _with_first(
    messages: Sequence[ReadableMessage], known: dict[tuple[ChannelId, SlackTs], Message]
) -> list[tuple[ChannelId, SlackTs]]:
    """The keys of the messages, the oldest first, and before them that of the thread's first message."""
    keys = [(m.channel_id, m.ts) for m in reversed(messages)]
    first = _thread(messages[0])
    return keys if first in keys or first not in known else [first, *keys]


def _last(
    page: Sequence[SearchHit], threads: Sequence[Sequence[ReadableMessage]], count: int
) -> SearchHit | None:
    """The position of the last message of the first `count` conversations."""
    shown = sum(len(thread) for thread in threads[:count])
    if count == len(threads):
        return page[-1]
    key = (threads[count][0].channel_id, threads[count][0].ts)
    at = next(i for i, each in enumerate(page) if (each.channel_id, each.ts) == key)
    return page[at - 1] if shown else None


def _conversation(
    message: ReadableMessage, messages: Sequence[Message], *, has_more: bool
) -> Conversation:
    return Conversation(
        channel_id=message.channel_id,
        thread_ts=_thread(message)[1] if has_more or len(messages) > 1 else None,
        messages=[quoted(each, _MOST_TEXT) for each in messages],
        has_more=has_more,
    )

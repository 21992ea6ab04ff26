"""Tools that read messages: search, threads, what was said around a message, conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tiger_slack_tui.base.ids import ChannelId, SlackTs
from tiger_slack_tui.base.times import EARLIEST, LATEST
from tiger_slack_tui.mcp.answers import (
    Answer,
    AnswerPage,
    QuotedMessage,
    fitting,
    noted,
    quoted,
    size,
    truncated,
)
from tiger_slack_tui.mcp.call import NOT_INDEXED, ArgumentWrong, Call
from tiger_slack_tui.mcp.quoting import quote, quote_name
from tiger_slack_tui.mcp.tools.parameters import Cursor, MessageChannel, MessageTs
from tiger_slack_tui.search.completeness import completeness_note, membership_note
from tiger_slack_tui.search.query import LONGEST, parse_query
from tiger_slack_tui.search.search import Result
from tiger_slack_tui.search.search import search as find
from tiger_slack_tui.search.thread import around
from tiger_slack_tui.store.readable_messages import fetch_messages, fetch_thread
from tiger_slack_tui.store.search import SearchPosition

_MOST_FOUND = 1000
"""Most characters of a result of a search: of a longer text its snippet is shown."""
_MOST_NEAR = 2000
"""Most characters of a message around the one that was asked for."""


class SearchAnswer(AnswerPage):
    """What a search found."""

    is_ranked: bool = Field(description="Whether the most relevant is the first; else the newest.")
    results: list[QuotedMessage]


class Thread(AnswerPage):
    """A thread, or a message that has none, the oldest message first."""

    messages: list[QuotedMessage]


class Context(Answer):
    """A message and its neighbours, the oldest first: of the thread for a reply, else of the channel."""

    before: list[QuotedMessage]
    message: QuotedMessage
    after: list[QuotedMessage]


Query = Annotated[
    str,
    Field(
        max_length=LONGEST,
        description=(
            'Words that all must be in a message: invoice "pay now" deploy* -draft. `a or b` needs one of them.'
            " Filters: from:@ana in:#ops before:2026-03-01 after:7d on:today during:2026-03 has:link has:file"
            " has:thread has:reaction has::eyes: is:edited is:bot"
        ),
    ),
]


async def search(
    call: Call,
    query: Query,
    order: Literal["relevance", "newest"] = "relevance",
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> SearchAnswer:
    """Find messages by words, people, channels and time. Read a result with get_message_context or its thread."""
    if "\0" in query or not query.strip():
        raise ArgumentWrong("The query is empty or holds a NUL character.")
    after = call.position(str, str, float)
    page = await find(
        call.connection,
        query,
        newest=order == "newest",
        limit=limit,
        after=_position(after) if after else None,
        now=call.now,
        visible=call.visible,
    )
    items, all_fit = fitting(_found(each) for each in page.results)
    next_ = page.next if all_fit else page.results[len(items) - 1].position
    period = parse_query(query, call.now)
    return SearchAnswer(
        notes=noted(
            truncated(all_fit=all_fit),
            f"{page.limit_note} Order by newest, or ask for rarer words."
            if page.limit_note
            else None,
            NOT_INDEXED if page.progress.finished_at is None else None,
            membership_note(page.without_app, lambda name: quote_name(name) or name),
            completeness_note(page.incomplete, lambda name: quote_name(name) or name),
            await call.gap_note(period.since or EARLIEST, period.until or LATEST),
        ),
        next_cursor=call.cursor(next_.ts, next_.channel_id, next_.score) if next_ else None,
        is_ranked=page.is_ranked,
        results=items,
    )


async def get_thread_messages(
    call: Call,
    channel: MessageChannel,
    ts: MessageTs = None,
    limit: Annotated[int, Field(ge=1, le=500)] = 100,
    cursor: Cursor = None,
) -> Thread:
    """Read the thread of a message, its first message included. Any message of the thread names it."""
    channel_id, named = await call.message(channel, ts)
    after = call.position(str, str)
    if after:
        thread_ts, last = SlackTs(str(after[0])), SlackTs(str(after[1]))
    else:
        known = await fetch_messages(call.connection, [(channel_id, named.ts)])
        thread_ts, last = (known[0].thread_ts if known else None) or named.ts, None
    found = await fetch_thread(call.connection, channel_id, thread_ts, limit + 1, after=last)
    if not found and not after:
        raise _unknown()
    messages = await call.describe(found[:limit])
    items, all_fit = fitting(map(quoted, messages))
    is_more = len(items) < len(found)
    until = LATEST if not is_more else messages[len(items) - 1].time
    return Thread(
        notes=noted(
            truncated(all_fit=all_fit),
            await call.gap_note(found[0].time, until, channel_id) if found else None,
        ),
        next_cursor=call.cursor(thread_ts, items[-1].ts) if is_more else None,
        messages=items,
    )


async def get_message_context(
    call: Call,
    channel: MessageChannel,
    ts: MessageTs = None,
    n: Annotated[int, Field(ge=1, le=50, description="Messages before it, and after it.")] = 5,
) -> Context:
    """Read a message with those before and after it: of its thread if it is a reply, else of its channel."""
    channel_id, named = await call.message(channel, ts)
    if not await fetch_messages(call.connection, [(channel_id, named.ts)]):
        raise _unknown()
    found = await around(call.connection, channel_id, named.ts, n, call.visible)
    message = quoted(found.message)
    budget = 38_000 - size(message)
    # The nearest first: what does not fit are the messages that are farthest away.
    before, all_before = fitting(
        (quoted(m, _MOST_NEAR) for m in reversed(found.before)), budget // 2
    )
    after, all_after = fitting((quoted(m, _MOST_NEAR) for m in found.after), budget // 2)
    first = found.before[0] if found.before else found.message
    last = found.after[-1] if found.after else found.message
    return Context(
        notes=noted(
            None if all_before and all_after else "Truncated: ask for fewer messages (n).",
            await call.gap_note(first.time, last.time, channel_id),
        ),
        before=before[::-1],
        message=message,
        after=after,
    )


def _found(result: Result) -> QuotedMessage:
    if len(result.message.text) <= _MOST_FOUND:
        message = quoted(result.message)
        if result.attached is None:
            return message
        text = f"{message.quoted_text}\n[attached] {quote(result.attached)}".strip()
        return message.model_copy(update={"quoted_text": text})
    snippet = quote("".join(piece.text for piece in result.snippet))
    return quoted(result.message).model_copy(update={"quoted_text": snippet, "is_cut": True})


def _position(values: list[str | int | float | None]) -> SearchPosition:
    ts, channel_id, score = values
    return SearchPosition(
        SlackTs(str(ts)), ChannelId(str(channel_id)), None if score is None else float(score)
    )


def _unknown() -> ArgumentWrong:
    return ArgumentWrong(
        "No message is stored with this channel and ts.",
        hint="The tool why says what is known about it.",
    )

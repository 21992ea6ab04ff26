"""Searches messages: a query in, a page of results with names, snippets and links out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import TypeVar

from tiger_slack_tui.base.ids import BotId, ChannelId, SlackTs, UserId
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.search.query import Condition, Filter, Query, QueryError, Words, parse_query
from tiger_slack_tui.search.render import (
    Piece,
    attached,
    cjk_parts,
    is_plain,
    mark,
    mentioned,
    readable,
    snippet,
    words_in,
)
from tiger_slack_tui.store import search as store
from tiger_slack_tui.store.history import IncompleteChannel, incomplete_channels
from tiger_slack_tui.store.membership import channels_without_app
from tiger_slack_tui.store.names import find_channels, find_users
from tiger_slack_tui.store.readable_messages import (
    ReadableMessage,
    fetch_messages,
    names_and_url,
)
from tiger_slack_tui.store.running_backfill import running_backfill
from tiger_slack_tui.store.search import Match, SearchPosition, lexeme
from tiger_slack_tui.store.search_index import IndexProgress
from tiger_slack_tui.store.visible_channels import VisibleChannels

T = TypeVar("T")

_SNIPPET = 300
"""Characters of a snippet."""
_MOST_TEXT = 40_000
"""Characters of a message that snippets are made of: as many as Slack allows, and as slack.split_text() reads."""
_LONG = 20_000
"""Characters that take more than a few milliseconds."""
_ANY_WORKSPACE = "https://slack.com/"
"""Slack leads from here to the workspace that the reader is signed in to."""
_CHANNEL = ("C", "D", "G")
"""How ids of channels begin."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message for people: names in place of ids. `text` was written by people and is not safe for terminals."""

    channel_id: ChannelId
    channel_name: str | None
    ts: SlackTs
    """Slack's text."""
    time: datetime
    user_id: UserId | None
    user_name: str | None
    bot_id: BotId | None
    subtype: str | None
    text: str
    thread_ts: SlackTs | None
    is_edited: bool
    reactions: tuple[tuple[str, int], ...]
    """(emoji, number of people)."""
    permalink: str


@dataclass(frozen=True, slots=True)
class Result:
    """A message that was found, and its snippet."""

    message: Message
    snippet: tuple[Piece, ...]
    position: SearchPosition
    attached: str | None = None
    """The part of the snippet that is of attachments or files; None if the text has all that was found.

    It comes after the part of the text, or is the whole snippet if the message has no text.
    """


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of results. `next` begins the page after it; None on the last page."""

    results: tuple[Result, ...]
    next: SearchPosition | None
    is_ranked: bool
    """Whether the most relevant result is the first; else the newest is."""
    progress: IndexProgress
    """How much of the history was searched."""
    limited_to: int | None = None
    """How many of the matches were ranked, the newest, if very many match; None if all were."""
    incomplete: tuple[IncompleteChannel, ...] = ()
    """Channels that were searched, and of which messages may be missing; see `incomplete_channels`."""
    running_backfill: str | None = None
    """How far the backfill is that reads the history of one of them now, in words; None if none does."""
    without_app: tuple[str, ...] = ()
    """Names of channels that were asked for, and that the app is no member of."""

    @property
    def limit_note(self) -> str | None:
        """What to tell the reader if not all matches were ranked."""
        if self.limited_to is None:
            return None
        return f"Very many messages match: only the newest {self.limited_to:,} of them are ranked."


async def search(
    connection: Connection,
    text: str,
    *,
    newest: bool = False,
    limit: int = 20,
    after: SearchPosition | None = None,
    now: datetime | None = None,
    visible: VisibleChannels | None = None,
) -> SearchPage:
    """Search messages by a query; see `search.query`. A query without words to rank by gives the newest first.

    `after` continues a search of the same query and order: `SearchPage.next`. `visible` limits the search and
    the names in the results to these channels, as if no other existed. Raises QueryError and NameUnknown for what is
    wrong with the query, and psycopg.Error.
    """
    query = parse_query(text, now or datetime.now(UTC))
    progress, match = await _match(connection, query, visible)
    is_ranked = match.ranking is not None and not newest
    limited_to = None
    if is_ranked:
        found, limited_to = await store.most_relevant(
            connection, match, after=after, limit=limit + 1
        )
    else:
        found = await store.newest(connection, match, after=after, limit=limit + 1)
    positions = {
        (each.channel_id, each.ts): each.position(is_ranked=is_ranked) for each in found[:limit]
    }
    channels = await _channels(connection, query, visible)
    incomplete = await incomplete_channels(
        connection, since=query.since, until=query.until, channels=channels, visible=visible
    )
    running = without_app = None
    if incomplete:
        running = await running_backfill(connection, [channel.id for channel in incomplete])
    if channels:
        without_app = await channels_without_app(connection, channels, visible)
    return SearchPage(
        await _results(connection, query, match, positions, progress.languages),
        found[limit - 1].position(is_ranked=is_ranked) if len(found) > limit else None,
        is_ranked,
        progress,
        limited_to,
        tuple(incomplete),
        running,
        tuple(without_app or ()),
    )


async def _results(
    connection: Connection,
    query: Query,
    match: Match,
    positions: Mapping[tuple[ChannelId, SlackTs], SearchPosition],
    languages: Sequence[str],
) -> tuple[Result, ...]:
    """The messages at these positions, with their snippets."""
    messages = await fetch_messages(connection, list(positions))
    described, texts = await _described(connection, messages, match.visible)
    snippets = await _snippets(connection, query, match, texts, languages)
    return tuple(
        Result(message, pieces, positions[message.channel_id, message.ts], found_in)
        for message, (pieces, found_in) in zip(described, snippets, strict=True)
    )


async def _described(
    connection: Connection, messages: Sequence[ReadableMessage], visible: VisibleChannels | None
) -> tuple[list[Message], list[tuple[str, str]]]:
    """As `describe`; and of each message the text, and that of its attachments and files, for `_snippets`."""
    names, url = await _names(connection, messages, visible)
    return await _compute(
        _size(messages),
        lambda: (
            [_message(each, names, url) for each in messages],
            [(readable(each, names)[:_MOST_TEXT], attached(each, names)) for each in messages],
        ),
    )


async def describe(
    connection: Connection,
    messages: Sequence[ReadableMessage],
    visible: VisibleChannels | None = None,
) -> list[Message]:
    """The messages with names, plain text and links. A channel that is not `visible` is shown by its id."""
    names, url = await _names(connection, messages, visible)
    return await _compute(
        _size(messages), lambda: [_message(each, names, url) for each in messages]
    )


async def _names(
    connection: Connection, messages: Sequence[ReadableMessage], visible: VisibleChannels | None
) -> tuple[dict[str, str], str]:
    """The names of the users and channels of the messages, and the workspace's address."""
    ids = await _compute(_size(messages), lambda: mentioned(messages))
    names, url = await names_and_url(connection, ids, visible)
    if visible is not None:  # a mention can hold the name, too
        names |= {
            i: i for i in ids if i.startswith(_CHANNEL) and i not in names and i not in visible
        }
    return names, url or _ANY_WORKSPACE


def _size(messages: Iterable[ReadableMessage]) -> int:
    """About how many characters they have. Blocks, attachments and files count as many."""
    return sum(len(each.text or "") if is_plain(each) else _LONG for each in messages)


async def _compute(size: int, work: Callable[[], T]) -> T:
    """Do the work on `size` characters: in a thread if they are many, because the event loop must not wait."""
    return work() if size < _LONG else await asyncio.to_thread(work)


def permalink(url: str, channel_id: ChannelId, ts: SlackTs, thread_ts: SlackTs | None) -> str:
    """The link to a message. `url` is the workspace's address, with a slash at its end."""
    link = f"{url}archives/{channel_id}/p{ts.replace('.', '')}"
    return f"{link}?thread_ts={thread_ts}&cid={channel_id}" if thread_ts not in (None, ts) else link


def _message(message: ReadableMessage, names: Mapping[str, str], url: str) -> Message:
    counts: dict[str, int] = {}
    for reaction in message.reactions or ():
        name = str(reaction.get("reaction"))
        counts[name] = counts.get(name, 0) + 1
    return Message(
        message.channel_id,
        names.get(message.channel_id),
        message.ts,
        message.time,
        message.user_id,
        names.get(message.user_id or message.bot_id or ""),
        message.bot_id,
        message.subtype,
        readable(message, names),
        message.thread_ts,
        message.is_edited,
        tuple(counts.items()),
        permalink(url, message.channel_id, message.ts, message.thread_ts),
    )


@dataclass(slots=True)
class _Tests:
    """What a document is tested and ranked by, in the language of tsquery."""

    clauses: list[str] = field(default_factory=list)
    """A document must match all of them."""
    ranking: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    """The words of clauses with several."""
    is_selective: bool = False
    """Whether a clause has only words that must be there."""

    def add(self, parts: Sequence[tuple[Condition, str]]) -> None:
        """Add a clause: conditions, of which one must be true, with their queries."""
        if not parts:
            return
        self.clauses.append(_any(f"!({q})" if each.is_negated else q for each, q in parts))
        self.is_selective |= not any(each.is_negated for each, _ in parts)
        ranked = [q for each, q in parts if isinstance(each, Words) and not each.is_negated]
        if ranked:
            self.ranking.append(_any(ranked))
        if len(parts) > 1:
            self.alternatives += ranked


async def _match(
    connection: Connection,
    query: Query,
    visible: VisibleChannels | None,
) -> tuple[IndexProgress, Match]:
    """What is indexed, and the query with ids and lexemes. Raises QueryError if nothing is left of the query."""
    conditions = [each for clause in query.clauses for each in clause]
    words = list(dict.fromkeys(each for each in conditions if isinstance(each, Words)))
    terms = [(each.text, each.is_prefix) for each in words]
    progress, found = await store.term_queries(connection, terms, visible)
    queries: dict[Condition, str | None] = dict(zip(words, found, strict=True))
    for each in conditions:
        if isinstance(each, Filter) and each.is_of_document:
            queries[each] = await _filter_query(connection, each, visible)
    tests = _Tests()
    for clause in query.clauses:
        tests.add([(each, q) for each in clause if (q := queries.get(each))])
    reactions = await _reactions(connection, conditions)
    threads = {
        not each.is_negated for each in conditions if isinstance(each, Filter) and each.is_thread
    }
    if (
        not tests.clauses
        and not reactions
        and not threads
        and query.since is None
        and query.until is None
    ):
        raise QueryError("The query has no words to search for.", hint="Write a word or a name.")
    return progress, Match(
        " & ".join(tests.clauses) or None,
        tests.is_selective,
        # Words that all must be there count by their distance, words of which one must be there by themselves.
        " & ".join(tests.ranking) or None,
        tuple(tests.alternatives),
        reactions,
        tuple(threads),
        str(query.since) if query.since else "-infinity",
        str(query.until) if query.until else "infinity",
        visible,
    )


async def _channels(
    connection: Connection, query: Query, visible: VisibleChannels | None
) -> set[ChannelId] | None:
    """The channels that the query asks for; None if it asks for all, or for all but some."""
    found: set[ChannelId] = set()
    for clause in query.clauses:
        names = [
            each.value
            for each in clause
            if isinstance(each, Filter) and each.name == "in" and not each.is_negated
        ]
        if len(names) == len(clause):
            found |= set(await find_channels(connection, names, visible))
    return found or None


def _any(queries: Iterable[str]) -> str:
    return "(" + " | ".join(f"({query})" for query in queries) + ")"


async def _reactions(
    connection: Connection, conditions: Sequence[Condition]
) -> tuple[tuple[str, bool], ...]:
    """As `Match.reactions`: emoji by name, also those that were written as a character."""
    given = [
        ("" if each.value == "reaction" else each.value.strip(":"), each.is_negated)
        for each in conditions
        if isinstance(each, Filter) and each.is_reaction
    ]
    characters = [emoji for emoji, _ in given if not emoji.isascii()]
    names = await store.emoji_names(connection, characters)
    return tuple((names.get(emoji, emoji), is_negated) for emoji, is_negated in given)


async def _filter_query(
    connection: Connection, condition: Filter, visible: VisibleChannels | None
) -> str:
    """The tsquery of a filter. Raises NameUnknown."""
    if condition.name == "from":
        users = await find_users(connection, [condition.value])
        return _any(lexeme(f"from:{user}") for user in users)
    if condition.name == "in":
        channels = await find_channels(connection, [condition.value], visible)
        return _any(lexeme(f"in:{channel}") for channel in channels)
    return lexeme(f"{condition.name}:{condition.value}")


async def _snippets(
    connection: Connection,
    query: Query,
    match: Match,
    texts: Sequence[tuple[str, str]],
    languages: Sequence[str],
) -> list[tuple[tuple[Piece, ...], str | None]]:
    """The text around what was found in each message, with the words that match marked.

    `texts` are each message's text, and that of its attachments and files. If these have words that match and that
    the text lacks, the snippet has both, and the second value is what is shown of them.
    """
    if match.ranking is None:
        return [(tuple(snippet([Piece(text)], _SNIPPET)), None) for text, _ in texts]
    wanted = [
        each
        for clause in query.clauses
        for each in clause
        if isinstance(each, Words) and not each.is_negated
    ]
    terms = reduce(set.union, (words_in(each.text) for each in wanted), set[str]())
    size = sum(len(text) + len(more) for text, more in texts)
    words = await _compute(
        size, lambda: sorted(terms.union(*(words_in(text) for both in texts for text in both)))
    )
    rows = await store.lexemes_of(connection, words, languages)
    return await _compute(size, lambda: _marked(wanted, terms, dict(rows), texts))


def _marked(
    wanted: Sequence[Words],
    terms: Iterable[str],
    lexemes: Mapping[str, list[str]],
    texts: Sequence[tuple[str, str]],
) -> list[tuple[tuple[Piece, ...], str | None]]:
    """As `_snippets`. `terms` are the words of what is wanted; `lexemes` are those of all words."""
    exact = {each for term in terms for each in lexemes.get(term, ())}
    ends = [w.text.split()[-1] for w in wanted if w.is_prefix and w.text.split()]
    prefixes = tuple(
        each for end in ends for word in words_in(end) for each in lexemes.get(word, (word,))
    )
    parts = [part for each in wanted for part in cjk_parts(each.text)]

    def is_match(word: str) -> bool:
        found = lexemes.get(word, ())
        return any(each in exact or (prefixes and each.startswith(prefixes)) for each in found)

    def found_in(pieces: Iterable[Piece]) -> set[str]:
        matches = [piece.text for piece in pieces if piece.is_match]
        return {each for text in matches for each in lexemes.get(text, [text])}

    def one(text: str, more: str) -> tuple[tuple[Piece, ...], str | None]:
        pieces, others = mark(text, is_match, parts=parts), mark(more, is_match, parts=parts)
        if found_in(others) <= found_in(pieces):
            return tuple(snippet(pieces, _SNIPPET)), None
        half = snippet(others, _SNIPPET // 2)
        shown = [*snippet(pieces, _SNIPPET // 2), Piece(" "), *half] if text else half
        return tuple(shown), "".join(piece.text for piece in half)

    return [one(text, more) for text, more in texts]

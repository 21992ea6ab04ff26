"""`tiger-slack search` finds messages; `tiger-slack thread` shows a thread."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any

import click

from tiger_slack_tui.audit.readable import readable_rows
from tiger_slack_tui.audit.reference import MessageReference, how_to_name
from tiger_slack_tui.audit.why_lines import second_lines
from tiger_slack_tui.audit.words import format_channel, format_time, format_user
from tiger_slack_tui.base import settings
from tiger_slack_tui.base.errors import NotFound
from tiger_slack_tui.base.text import amount, cells, lines, visible
from tiger_slack_tui.base.times import parse_period
from tiger_slack_tui.cli import options
from tiger_slack_tui.cli.errors import plain_errors
from tiger_slack_tui.cli.output import echo_json, wrapped
from tiger_slack_tui.cli.queries import run_query
from tiger_slack_tui.postgres.connection import Connection
from tiger_slack_tui.search.completeness import completeness_note, membership_note
from tiger_slack_tui.search.render import Piece
from tiger_slack_tui.search.search import Message, Result, SearchPage
from tiger_slack_tui.search.search import search as find
from tiger_slack_tui.search.thread import MessageUnknown, Surroundings, around, thread_of
from tiger_slack_tui.store.message_trail import MessageOfSecond

_INDENT = "  "
_NAME = 21
"""Most columns of a channel or a person with its id. With them, the head of a reply fits 80 columns."""
_UNBROKEN = 50_000
"""More columns than a message has characters."""
_MOST_LINES = 200
"""Most lines of a message that are printed."""


class NothingFound(NotFound):
    """No message matches the query."""


@dataclass(frozen=True, slots=True)
class _PageInContext:
    page: SearchPage
    context: dict[str, Surroundings]
    """By permalink."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The messages of a second that holds several."""

    messages: list[MessageOfSecond]
    is_thread: bool = False


@click.command()
@click.argument("query", nargs=-1)
@options.channels
@options.users
@options.since
@options.until
@click.option("--newest", is_flag=True, help="Show the newest first, not the most relevant.")
@click.option(
    "--limit", type=options.Number(1, 1000), default=20, show_default=True, help="Most results."
)
@click.option(
    "--context",
    type=options.Number(0, 50),
    default=0,
    metavar="N",
    help="Show the N messages before and after each result.",
)
@options.as_json
@plain_errors
def search(
    query: tuple[str, ...],
    newest: bool,
    limit: int,
    context: int,
    as_json: bool,
    **filters: Any,
) -> None:
    """Find messages.

    All words must be in a message: invoice "pay now" deploy* -draft. `a or b` needs one of them. Filters: from:@ana
    in:#ops before:2026-03-01 after:7d on:today during:2026-03 has:link has:file has:thread has:reaction has::eyes:
    is:edited is:bot subtype:NAME. Write -- before a query that begins with a minus. The options --channel, --user,
    --since and --until are the filters in:, from:, after: and before:.

    Exit code 1: nothing was found.
    """

    text = " ".join([*query, *_as_filters(**filters)])
    if not text.strip():
        raise click.UsageError("Missing argument 'QUERY': say what to search for.")

    async def ask(connection: Connection) -> _PageInContext:
        page = await find(connection, text, newest=newest, limit=limit)
        found = [each.message for each in page.results] if context else []
        near = {m.permalink: await around(connection, m.channel_id, m.ts, context) for m in found}
        return _PageInContext(page, near)

    answer = run_query(settings.load(), "search", ask)
    if as_json:
        echo_json(_as_json(answer))
    else:
        for line in _answer_lines(answer, _width(), is_styled=sys.stdout.isatty()):
            click.echo(line)
    if not answer.page.results:
        raise NothingFound("No message matches.", hint="\n  ".join(_hints(answer.page)) or None)
    if not as_json:
        for hint in filter(None, (_limited(answer.page), *_hints(answer.page))):
            click.echo("\n".join(wrapped(hint, err=True)), err=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', "") + '"'


def _as_filters(
    channels: Sequence[str], users: Sequence[str], since: str | None, until: str | None
) -> Iterator[str]:
    """What the options mean, in the query language. Raises SettingsError for a wrong time."""
    for filter_, names in (("in", channels), ("from", users)):
        if names:
            yield " or ".join(f"{filter_}:{_quoted(name)}" for name in names)
    for filter_, time in zip(
        ("after", "before"), parse_period(since, until, datetime.now(UTC)), strict=True
    ):
        if time is not None:
            yield f"{filter_}:{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@click.command()
@click.argument("channel", metavar="CHANNEL|PERMALINK")
@click.argument("ts", required=False)
@options.as_json
@plain_errors
def thread(channel: str, ts: str | None, as_json: bool) -> None:
    """Show a thread, the oldest message first.

    Name any of its messages by CHANNEL (id or name) and TS, or by its link in Slack (PERMALINK). A TS of whole
    seconds lists the messages of that second if there are several.

    Exit code 1: the message is not stored.
    """
    named = MessageReference.parse(channel, ts)
    if named is None:
        raise click.UsageError(how_to_name(channel, ts))

    async def ask(connection: Connection) -> list[Message] | _Candidates:
        found = await named.find(connection)
        if isinstance(found, list):
            return _Candidates(found if as_json else await readable_rows(connection, found))
        return await thread_of(connection, *found)

    messages = run_query(settings.load(), "thread", ask)
    if isinstance(messages, _Candidates):
        if as_json:
            echo_json(messages)
        else:
            click.echo("\n".join(second_lines(named, messages.messages, "thread")))
        if not named.is_second:
            raise MessageUnknown(f"No message {named.ts} is stored.")
    elif as_json:
        echo_json({"messages": messages, "is_thread": True})
    else:
        for line in _thread_lines(messages, _width()):
            click.echo(line)


def _thread_lines(messages: Sequence[Message], width: int) -> Iterator[str]:
    first, *replies = messages
    yield from _message_lines(first, [Piece(first.text)], width, is_styled=False)
    for reply in replies:
        yield from _indented_message(reply, width)


def _indented_message(message: Message, width: int) -> Iterator[str]:
    pieces = [Piece(message.text)]
    yield from _indented(_message_lines(message, pieces, width - len(_INDENT), is_styled=False))


def _as_json(answer: _PageInContext) -> object:
    page = answer.page
    return {
        "results": [
            {
                "message": each.message,
                "snippet": each.snippet,
                "attached": each.attached,
                "score": each.position.score,
                "context": answer.context.get(each.message.permalink),
            }
            for each in page.results
        ],
        "has_more": page.next is not None,
        "is_ranked": page.is_ranked,
        "is_limited": page.limited_to is not None,
        "percent_indexed": page.progress.percent,
    }


def _answer_lines(answer: _PageInContext, width: int, *, is_styled: bool) -> Iterator[str]:
    for result in answer.page.results:
        yield from _result_lines(result, answer.context, width, is_styled=is_styled)
        yield ""
    found = amount(len(answer.page.results), "message")
    if answer.page.next is not None:
        first = "The first message" if len(answer.page.results) == 1 else f"The first {found}"
        yield f"{first}. --limit shows more."
    elif answer.page.results:
        yield f"{found}."


def _result_lines(
    result: Result, context: dict[str, Surroundings], width: int, *, is_styled: bool
) -> Iterator[str]:
    near = context.get(result.message.permalink)
    for message in near.before if near else ():
        yield from _indented_message(message, width)
    yield from _message_lines(result.message, result.snippet, width, is_styled=is_styled)
    yield _INDENT + visible(result.message.permalink)
    for message in near.after if near else ():
        yield from _indented_message(message, width)


def _message_lines(
    message: Message, pieces: Iterable[Piece], width: int, *, is_styled: bool
) -> Iterator[str]:
    channel = format_channel(message.channel_id, message.channel_name, _NAME)
    who = format_user(message.user_id or message.bot_id, message.user_name, _NAME)
    edited = ", edited" if message.is_edited else ""
    head = f"{format_time(message.time)}  {channel}  {who}{edited}"
    yield click.style(head, bold=True) if is_styled else head
    yield from _indented(_text_lines(list(pieces), width - len(_INDENT), is_styled=is_styled))
    if message.reactions:
        yield _INDENT + visible(" ".join(f":{name}: {n}" for name, n in message.reactions))


def _text_lines(pieces: Sequence[Piece], width: int, *, is_styled: bool) -> Iterator[str]:
    """The text in lines of at most `width` columns; `is_styled` underlines what matches, in a text of one line."""
    if not is_styled:
        for line in "".join(piece.text for piece in pieces).split("\n"):
            yield from lines(line, width, _MOST_LINES, at_words=True) if line else [""]
        return
    shown: list[str] = []
    used = 0
    for piece in pieces:
        for part in _parts(visible(piece.text)):
            if used and used + cells(part) > width:
                yield "".join(shown).rstrip(" ")
                shown, used = [], 0
            shown.append(click.style(part, bold=True, underline=True) if piece.is_match else part)
            used += cells(part)
    yield "".join(shown)


def _parts(text: str) -> Iterator[str]:
    """The text in words, each with the space after it."""
    while text:
        head, space, text = text.partition(" ")
        yield head + space


def _indented(shown: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line for line in shown)


def _hints(page: SearchPage) -> list[str]:
    """Why messages may be missing from the page, and what to do."""
    notes = (_not_indexed(page), membership_note(page.without_app, visible), _incomplete(page))
    return [note for note in notes if note]


def _limited(page: SearchPage) -> str | None:
    """What the reader must know if only some of the matches were ranked."""
    return f"{page.limit_note} --newest shows all." if page.limit_note else None


def _incomplete(page: SearchPage) -> str | None:
    """Which channels are not complete for the time of the query; None if all are."""
    note = completeness_note(page.incomplete, visible)
    if note is None:
        return None
    if page.running_backfill is not None:
        return f"{note} The history is being read: {page.running_backfill}."
    return f"{note} To read what Slack has: tiger-slack backfill --all"


def _not_indexed(page: SearchPage) -> str | None:
    """How much of the history cannot be searched yet; None if all of it can."""
    if page.progress.finished_at is not None:
        return None
    return (
        f"{page.progress.percent} % of the history is indexed. The job `search` indexes the rest:"
        " it runs with tiger-slack run."
    )


def _width() -> int:
    """Columns of a line: those of the terminal; without one, lines are not broken, for grep and other programs."""
    return max(get_terminal_size().columns, 20) if sys.stdout.isatty() else _UNBROKEN

"""How the view Messages shows results and conversations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from tiger_slack_tui.audit.words import channel_name, person_name
from tiger_slack_tui.base.text import cut, visible
from tiger_slack_tui.console.formats import clock, moment
from tiger_slack_tui.console.panes.arrangement import Field
from tiger_slack_tui.console.panes.paint import DIM, KEY, Column, Columns, line, wrapped
from tiger_slack_tui.search.render import Piece, snippet
from tiger_slack_tui.search.search import Message, Result

_INDENT = 2
_BAR = "▌"
_MOST_LINES = 40
"""The most lines of one message that a conversation shows."""
RESULTS = Columns(
    Column("written (UTC)", 16),
    Column("channel", 14),
    Column("author", 12, least=60),
    Column("text"),
)


RESULT_FIELDS = (
    Field[Result]("written", lambda result: result.message.time),
    Field[Result]("channel", lambda result: channel_of(result.message)),
    Field[Result]("author", lambda result: author_of(result.message)),
    Field[Result]("text", lambda result: result.message.text),
    Field[Result]("link", lambda result: result.message.permalink, is_sortable=False),
    Field[Result]("channel_id", lambda result: result.message.channel_id, is_sortable=False),
    Field[Result]("ts", lambda result: result.message.ts, is_sortable=False),
    Field[Result]("user_id", lambda result: result.message.user_id, is_sortable=False),
)


def channel_of(message: Message) -> str:
    return channel_name(message.channel_id, message.channel_name)


def author_of(message: Message) -> str:
    return person_name(message.user_id or message.bot_id, message.user_name)


def paint_result(result: Result, width: int) -> Content:
    """A result as a line of `width` cells, with what the query found marked."""
    message = result.message
    head = RESULTS.row(
        width, [(moment(message.time)[:16], DIM), channel_of(message), author_of(message), ""]
    )
    room = RESULTS.room(width)
    text = _marked(snippet(result.snippet, max(room - 2, 1))).truncate(
        room, ellipsis=True, pad=True
    )
    return head.truncate(max(width - room, 0)) + text


def context_lines(messages: Sequence[Message], selected: int, width: int) -> Iterator[Content]:
    """The messages with author, time, text and reactions. The selected one has a bar at its left."""
    day = ""
    for number, message in enumerate(messages):
        date = moment(message.time)[:10]
        if date != day:
            day = date
            yield line((f"── {day} ", DIM))
        bar = line((f"{_BAR} ", KEY)) if number == selected else line("  ")
        for shown in _message_lines(message, max(width - _INDENT, 1)):
            yield bar + shown


def first_line_of_selected(lines: Sequence[Content]) -> int:
    """The index of the first of these lines that has the bar; 0 if none has."""
    return next((n for n, shown in enumerate(lines) if shown.plain.startswith(_BAR)), 0)


def _message_lines(message: Message, width: int) -> Iterator[Content]:
    edited = "  (edited)" if message.is_edited else ""
    name = cut(visible(author_of(message)), max(width - 32, 8))
    given = f" {message.user_id}" if message.user_id and message.user_name else ""
    yield line((name, "bold"), (f"{given}  {clock(message.time)}{edited}", DIM)).truncate(width)
    yield from wrapped(message.text or "(no text)", width, _MOST_LINES, at_words=True)
    if message.reactions:
        counts = " ".join(f":{name}: {n}" for name, n in message.reactions)
        yield line((cut(counts, width), DIM))


def _marked(pieces: Sequence[Piece]) -> Content:
    return line(*((piece.text, f"bold {KEY}" if piece.is_match else "") for piece in pieces))

"""Turns messages into plain text with names in place of ids, and marks what a query found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from tiger_slack_tui.slack.markup import mentioned_ids, plain_text
from tiger_slack_tui.store.readable_messages import ReadableMessage

_CJK = (  # as in slack.split_text()
    "\u3005\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_CJK_TEXT = re.compile(f"[{_CJK}]+")
_EMOJI = (  # as in slack.emoji_in(), without the keys of a telephone
    "[\U0001f1e6-\U0001f1ff]{2}"
    "|[\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23fa\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f004-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    "(?:\u200d[\u2190-\u2bff\U0001f004-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
_WORD = re.compile(rf"[^\W_{_CJK}]+|{_EMOJI}")
_BLOCK_TEXTS: Final = ("text", "user_id", "channel_id", "url", "name")
_ATTACHMENT_TEXTS: Final = ("author_name", "pretext", "title", "text", "fallback", "value")
"""As in slack.search_document()."""
_MOST_ATTACHED: Final = 10_000
"""Characters of a message's attachments and files that are read: Slack does not limit them."""
_MOST_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet. `is_match`: the query found it."""

    text: str
    is_match: bool = False


def mentioned(messages: Iterable[ReadableMessage]) -> set[str]:
    """The ids of the channels and users that the messages are of or mention."""
    found: set[str] = set()
    for message in messages:
        found |= {message.channel_id, message.user_id or "", message.bot_id or ""}
        for source in (_source(message), _attached(message)):
            found |= mentioned_ids(source)
        found.update(reaction.get("user_id") or "" for reaction in message.reactions or ())
    return found - {""}


def readable(message: ReadableMessage, names: Mapping[str, str]) -> str:
    """The message's text with names in place of ids and labels in place of links, or what it has instead of a text.

    The result is not safe for terminals yet: see base/text.py.
    """
    return plain_text(_source(message), names)


def attached(message: ReadableMessage, names: Mapping[str, str]) -> str:
    """The texts of the message's attachments and files that are searched, as `readable`: about 10,000 characters."""
    return plain_text(_attached(message), names)


def mark(text: str, is_match: Callable[[str], bool], *, parts: Sequence[str] = ()) -> list[Piece]:
    """The text in pieces. `is_match` decides about words; `parts` are marked wherever they are (Chinese)."""
    spans = [match.span() for match in _WORD.finditer(text) if is_match(match[0])]
    for part in parts:
        spans += [match.span() for match in re.finditer(re.escape(part), text)]
    pieces: list[Piece] = []
    at = 0
    for begin, end in sorted(spans):
        begin = max(begin, at)
        if begin >= end:
            continue
        if text[at:begin]:
            pieces.append(Piece(text[at:begin]))
        pieces.append(Piece(text[begin:end], is_match=True))
        at = end
    return [*pieces, Piece(text[at:])] if text[at:] or not pieces else pieces


def snippet(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """At most about `most` characters around the first match, on one line; ellipses show what was cut."""
    length = sum(len(piece.text) for piece in pieces)
    if length <= most:
        return [_one_line(piece) for piece in pieces]
    at, first = 0, 0
    for piece in pieces:
        if piece.is_match:
            first = at
            break
        at += len(piece.text)
    begin = max(0, min(first - most // 4, length - most))
    end = begin + most
    cut: list[Piece] = []
    at = 0
    for piece in pieces:
        part = piece.text[max(begin - at, 0) : max(end - at, 0)]
        if part:
            cut.append(Piece(part, piece.is_match))
        at += len(piece.text)
    before = [Piece("…")] if begin else []
    after = [Piece("…")] if end < length else []
    return [_one_line(piece) for piece in (*before, *cut, *after)]


def words_in(text: str) -> set[str]:
    """The words and emoji characters of a text, as `mark` sees them."""
    return set(_WORD.findall(text))


def cjk_parts(text: str) -> list[str]:
    """The parts of a term in Chinese, Japanese or Korean."""
    return _CJK_TEXT.findall(unicodedata.normalize("NFKC", text))


def _one_line(piece: Piece) -> Piece:
    return Piece(re.sub(r"\s+", " ", piece.text), piece.is_match)


def is_plain(message: ReadableMessage) -> bool:
    """Whether the message has a text, and nothing else."""
    return bool(message.text) and not message.attachments and not message.files


def _source(message: ReadableMessage) -> str:
    """The text as Slack sends it; without one, that of blocks, attachments and files."""
    if message.text:
        return message.text
    texts = [*_strings(message.blocks, _BLOCK_TEXTS)]
    if not texts:
        texts = [*_strings(message.attachments, ("pretext", "title", "text"))]
        texts = texts or [*_strings(message.attachments, ("fallback",))]
    return " ".join([*texts, *(f"[{name}]" for name in file_names(message))])


def _attached(message: ReadableMessage) -> str:
    """The texts of attachments, and the names and titles of files, each once, as Slack sends them, up to a size."""
    files = message.files if isinstance(message.files, list) else []
    of_files = (
        file[key]
        for file in files
        for key in ("title", "name")
        if isinstance(file, dict) and isinstance(file.get(key), str)
    )
    texts: dict[str, None] = {}
    size = 0
    for text in chain(_strings(message.attachments, _ATTACHMENT_TEXTS), of_files):
        if size >= _MOST_ATTACHED:
            break
        if text not in texts:
            texts[text] = None
            size += len(text)
    return "\n".join(texts)[:_MOST_ATTACHED]


def file_names(message: ReadableMessage) -> list[str]:
    """The titles or names of the message's files."""
    files = message.files if isinstance(message.files, list) else []
    found = [file.get("title") or file.get("name") for file in files if isinstance(file, dict)]
    return [name for name in found if isinstance(name, str)]


def _strings(value: Any, keys: Sequence[str], depth: int = 0) -> Iterator[str]:
    """The strings below these keys, at any depth, in order. Ids of users and channels become mentions."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _strings(item, keys, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key in keys:
                yield {
                    "user_id": f"<@{item}>",
                    "channel_id": f"<#{item}>",
                    "name": f":{item}:",
                }.get(key, item)
            else:
                yield from _strings(item, keys, depth + 1)

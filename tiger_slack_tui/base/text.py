"""Makes foreign text safe to show: it cannot set styles, move other text, or send control bytes to the terminal.

All widths are those of `rich.cells`, which Textual uses, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from unicodedata import category

from rich.cells import cell_len, get_character_cell_size, split_graphemes

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_JOINER = "\N{ZERO WIDTH JOINER}"
_VARIATIONS = "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}"
_MOST_JOINED = 12
"""Most characters that may combine with the one before them. Unicode's longest recommended emoji has nine. More
would be a stack of accents that covers other lines."""
ITEM = 4
"""Blanks before the further lines of an item of a report."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that are blank."""
_PLAIN = re.compile(
    "[ -~\xa1-\xac\xae-\u02ff\u0370-\u0373\u0388-\u0481\u2010-\u2027\u2190-\u23ff\u2400-\u2422\u2500-\u27bf"
    "\u3041-\u3096\u30a0-\u30ff\u4e00-\u9fff\uac00-\ud7a3\ufffd]*"
)
"""Text that needs no change: no character is invisible or combines with another."""


def visible(text: str) -> str:
    """The text as one line of the same number of characters, all of them visible.

    A control character becomes its picture (ESC becomes ␛). An invisible character, or one that changes the writing
    direction, becomes a replacement character. A character without a width (accent, skin tone, part of a syllable)
    is kept if it combines with the one before it. `visible(visible(text)) == visible(text)`.
    """
    if is_plain(text):
        return text
    shown: list[str] = []
    base, joined, is_part = "", 0, False
    for index, character in enumerate(text):
        alone = _alone(character)
        if is_part:  # checked with the joiner before it
            shown.append(character)
            joined, is_part = joined + 1, False
        elif alone is not None:
            base, joined = (alone if alone == character and alone != " " else ""), 0
            shown.append(alone)
        elif (
            base and joined < _MOST_JOINED and _joins(base, character, text[index + 1 : index + 2])
        ):
            is_part = character == _JOINER
            joined += 1
            shown.append(character)
        else:
            base = ""
            shown.append(_REPLACEMENT)
    return "".join(shown)


def cells(text: str) -> int:
    """Number of terminal cells of the visible text."""
    return len(text) if text.isascii() else cell_len(text)


def graphemes(text: str) -> Iterator[tuple[str, int]]:
    """The visible text in pieces that must not be split, each with its number of cells."""
    if _PLAIN.fullmatch(text):
        for character in text:
            yield character, get_character_cell_size(character)
        return
    for begin, end, width in split_graphemes(text)[0]:
        yield text[begin:end], width


def is_plain(text: str) -> bool:
    """Whether `visible` certainly changes nothing, and no character combines with another."""
    return _PLAIN.fullmatch(text) is not None


def is_simple(grapheme: str) -> bool:
    """Whether all terminals agree on its number of cells."""
    return len(grapheme) == 1 and not "\U0001f1e6" <= grapheme <= "\U0001f1ff"  # halves of flags


def amount(number: int, one: str) -> str:
    """A number with its noun: "1 file", "2 files"."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The visible text in exactly `width` cells: padded with spaces, or cut with an ellipsis.

    `right` pads on the left. The result is "" if `width` is not positive.
    """
    text = cut(text, width)
    pad = " " * (width - cells(text))
    return pad + text if right else text + pad


def cut(text: str, width: int) -> str:
    """The visible text in at most `width` cells; an ellipsis shows that it was cut."""
    if width <= 0:
        return ""
    text = _head(text, width)
    if cells(text) <= width:
        return text
    kept, taken = [], 0
    for piece, wide in graphemes(text):
        if taken + wide > width - 1:
            break
        kept.append(piece)
        taken += wide
    return "".join(kept) + "…"


def lines(text: str, width: int, most: int, *, at_words: bool = False) -> Iterator[str]:
    """The first lines of the visible text, at most `most`, each of at most `width` cells.

    Breaks anywhere, or with `at_words` after a word, if the line has one that ends.

    `width` is at least 1. A character that is wider than a line becomes a replacement character. The time taken grows
    with the result, not with the text.
    """
    width = max(width, 1)
    at = 0
    for _ in range(most):
        line = text[at : at + width]
        if _PLAIN.fullmatch(text[at : at + width + 1]) and cells(line) == len(line):
            raw, shown = len(line), line
        else:
            raw, shown = _line(text[at : at + width * (_MOST_JOINED + 1) + 1], width)
        if at_words and (end := _word_end(text, at, at + raw)) is not None:
            raw, shown = end - at, _line(text[at:end].rstrip(" "), width)[1]
        yield shown
        at += raw
        if at >= len(text):
            return


def wrap(text: str, width: int | None, indent: int = 0, hang: int = 0) -> Iterator[str]:
    """The visible text in lines that begin with `indent` blanks, from the second on with `hang` more.

    A line has at most `width` cells, unless one word is longer: no word is broken. None is one line.
    """
    return wrap_words(visible(text).split(" "), width, indent, hang)


def wrap_words(
    words: Iterable[str], width: int | None, indent: int = 0, hang: int = 0
) -> Iterator[str]:
    """As `wrap`, for words, which are visible and may hold blanks."""
    line = " " * indent
    room = len(line)  # without it, the line has no word yet
    for word in words:
        if len(line) > room and width is not None and cells(line) + 1 + cells(word) > width:
            yield line
            line = " " * (indent + hang)
            room = len(line)
        line += f" {word}" if len(line) > room else word
    yield line


def wrap_item(text: str, width: int | None) -> Iterator[str]:
    """As `wrap`, for a line of a report: the blanks that it begins with stay, and its further lines begin with 4."""
    bare = text.lstrip(" ")
    indent = len(text) - len(bare)
    yield from wrap(bare, width, indent, max(ITEM - indent, 0))


def _word_end(text: str, begin: int, end: int) -> int | None:
    """Where the line from `begin` should end so that no word is broken; None if it is right at `end`."""
    if end >= len(text):
        return None
    if text[end] == " ":
        return end + 1
    return text.rfind(" ", begin, end) + 1 or None


def _line(text: str, width: int) -> tuple[int, str]:
    """Number of characters of the text in its first line, and the line."""
    raw, taken, kept = 0, 0, []
    for piece, wide in graphemes(visible(text)):
        if taken + min(wide, width) > width:
            break
        kept.append(piece if wide <= width else _REPLACEMENT)
        taken += min(wide, width)
        raw += len(piece)
    return raw, "".join(kept)


def _head(text: str, width: int) -> str:
    """The beginning of the text, made visible, with at least `width` cells if the text has them."""
    head = text[: width + 1]
    if _PLAIN.fullmatch(head):
        return head
    return visible(text[: (width + 1) * (_MOST_JOINED + 1)])


@lru_cache(4096)
def _alone(character: str) -> str | None:
    """The visible form of a character; None if it may combine with the one before."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if character in _BLANK:
        return _REPLACEMENT
    if character == _JOINER or 0xE0020 <= code <= 0xE007F:
        return None
    # Control and format characters, and spaces other than U+0020.
    if category(character)[0] in "CZ" and character != " ":
        return _REPLACEMENT
    return character if get_character_cell_size(character) else None


def _joins(base: str, character: str, following: str) -> bool:
    """Whether a character without a width combines with `base`."""
    code, before = ord(character), ord(base)
    if character == _JOINER:
        return _is_picture(base) and _is_picture(following)
    if 0x1F3FB <= code <= 0x1F3FF:  # skin tones
        return _is_picture(base)
    if character in _VARIATIONS:
        return _is_picture(base) or base in "#*0123456789©®‼⁉™\u2139〰〽㊗㊙"
    if 0xE0020 <= code <= 0xE007F:  # the letters of a flag's region
        return base == "\N{WAVING BLACK FLAG}"
    if 0xFE00 <= code <= 0xFE0D or 0xE0100 <= code <= 0xE01EF:  # variants of a letter
        return category(base) == "Lo"
    if (
        0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF
    ):  # vowels and finals of a Korean syllable
        return (
            0x1100 <= before <= 0x115E or 0xA960 <= before <= 0xA97C or 0xAC00 <= before <= 0xD7A3
        )
    return category(character)[0] == "M"


def _is_picture(character: str) -> bool:
    return len(character) == 1 and category(character) == "So"

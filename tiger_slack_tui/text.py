"""Makes the text of others safe to show: it cannot style, shift a line or reach the terminal as control bytes."""

from __future__ import annotations

from functools import lru_cache
from unicodedata import category, east_asian_width

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """The text as one line of as many characters, each of which can be seen; wide ones stay.

    Control characters become their pictures (ESC shows as ␛); what is invisible, joins others or turns the direction
    becomes a replacement character.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def cells(text: str) -> int:
    """How many cells of a terminal the visible text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The visible text in exactly `width` cells: padded (on the left with `right`), or cut with an ellipsis."""
    text = visible(text[: width + 1])
    taken = cells(text)
    if taken > width:
        text, taken = _cut(text, width)
    pad = " " * (width - taken)
    return pad + text if right else text + pad


def cut(text: str, width: int) -> str:
    """The visible text in at most `width` cells, with an ellipsis where that is less than all."""
    text = visible(text[: width + 1])
    return text if cells(text) <= width else _cut(text, width)[0]


def _cut(text: str, width: int) -> tuple[str, int]:
    kept, taken = [], 0
    for character in text:
        if taken + _width(character) > width - 1:
            break
        kept.append(character)
        taken += _width(character)
    return ("".join(kept) + "…", taken + 1) if width > 0 else ("", 0)


@lru_cache(4096)
def _width(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1


@lru_cache(4096)
def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    # Controls and formats, spaces that are no space, marks that join; U+115F and its like look like nothing.
    if category(character)[0] in "CZM" and character != " ":
        return _REPLACEMENT
    return _REPLACEMENT if character in _BLANK else character


_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that show nothing."""

"""Makes the text of others safe to show: it cannot style, shift a line or reach the terminal as control bytes."""

from __future__ import annotations

import unicodedata


def safe(text: str, most: int) -> str:
    """At most `most` characters of the text, each of them visible and one that a line can hold.

    Control characters become their pictures (ESC shows as ␛); what is invisible, turns the direction, takes
    two cells or none, becomes a replacement character. Never parsed as markup by Textual's Content.
    """
    shown = "".join(map(_visible, text[: most + 1]))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character)[0] in "CZM" and character != " ":
        return "\N{REPLACEMENT CHARACTER}"
    if unicodedata.east_asian_width(character) in "WF":
        return "\N{REPLACEMENT CHARACTER}"
    return character

"""Makes the text of others safe to show: it cannot style, shift a line or reach the terminal as control bytes."""

from __future__ import annotations

from unicodedata import category, east_asian_width


def visible(text: str) -> str:
    """The text as one line of characters that can be seen, wide ones among them.

    Control characters become their pictures (ESC shows as ␛); what is invisible or turns the direction becomes a
    replacement character.
    """
    return "".join(map(_visible, text))


def safe(text: str, most: int) -> str:
    """At most `most` characters of the visible text, each of which takes one cell. Never parsed as markup.

    What takes two cells becomes a replacement character.
    """
    shown = "".join(_NARROW.get(east_asian_width(c), c) for c in visible(text[: most + 1]))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


_NARROW = dict.fromkeys("WF", "\N{REPLACEMENT CHARACTER}")


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if category(character)[0] in "CZM" and character != " ":
        return "\N{REPLACEMENT CHARACTER}"
    return character

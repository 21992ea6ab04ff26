"""How commands print values."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import click
import orjson

from tiger_slack_tui.base.text import ITEM, cells, visible, wrap

LINE_WIDTH = 79
"""Most columns of a line on a terminal."""
_TO_COPY = re.compile(r"(?<!@)tiger-slack [a-z]|://|grant |alter ")
"""A command, a link or SQL."""


def echo_json(value: Any) -> None:
    """Print the value, which may hold dataclasses, as one line of JSON."""
    click.echo(orjson.dumps(value, default=str))


def wrapped(text: str, indent: int = 0, *, hang: int = 0, err: bool = False) -> Iterator[str]:
    """The visible lines of the text, in lines that begin with `indent` blanks, from the second on with `hang` more.

    On a terminal (of stderr with `err`), a line has at most LINE_WIDTH columns, unless one word is longer. A command
    or a link, and what follows it, stays in one line, so that it can be copied; elsewhere each text does, for grep.
    """
    first, *others = text.split("\n")
    yield from _lines(first.strip(), indent, hang, err=err)
    for other in others:
        yield from _lines(other.strip(), indent + hang, 0, err=err)


def wrapped_item(text: str) -> Iterator[str]:
    """As `wrapped`, for a line of a report: the blanks that it begins with stay, its further lines begin with 4."""
    bare = text.lstrip(" ")
    indent = len(text) - len(bare)
    yield from _lines(bare, indent, max(ITEM - indent, 0), err=False)


def _lines(text: str, indent: int, hang: int, *, err: bool) -> Iterator[str]:
    width = LINE_WIDTH if (sys.stderr if err else sys.stdout).isatty() else None
    match = _TO_COPY.search(text)
    if width is None or match is None:
        yield from wrap(text, width, indent, hang)
        return
    begin = text.rfind(" ", 0, match.start()) + 1
    to_copy = visible(text[begin:])
    if begin == 0:
        yield " " * indent + to_copy
        return
    *before, last = wrap(text[:begin].rstrip(), width, indent, hang)
    yield from before
    if cells(last) + 1 + cells(to_copy) <= width:
        yield f"{last} {to_copy}"
    else:
        yield last
        yield " " * (indent + hang) + to_copy
